//! The rules of a pool, told by feeding events to its state.

use proptest::prelude::*;

use super::*;
use crate::plugin::RowFormat;
use crate::record::Format;
use crate::wire::LossKind;

const BEGIN: HostToWorker = HostToWorker::Begin { format: Format::Lines, rows: RowFormat::Csv };

fn id(slot: u16, epoch: u32) -> WorkerId {
    WorkerId { slot: SlotIndex(slot), epoch: Epoch(epoch) }
}

fn batch(number: u64) -> Frame<HostToWorker> {
    HostToWorker::Batch { item: BatchId(number), base: 0, with_row_ends: false }.into()
}

fn done(number: u64, held: u32) -> ItemDone {
    let item = BatchId(number);
    ItemDone { item, outcomes: 1, rows_bytes: 0, all_done: held == 0, last: true, held, busy_ns: 1 }
}

fn lost() -> Lost {
    Lost {
        kind: LossKind::Crash,
        message: "SIGSEGV".into(),
        was_killed: false,
        was_expected: false,
        blame: None,
        remains: None,
    }
}

/// A pool of ready workers with a master.
fn attached(slots: u16, now: Instant) -> PoolState {
    let (mut pool, actions) = PoolState::new(slots, now);
    assert_eq!(actions.len(), usize::from(slots));
    for slot in 0..slots {
        pool.on_created(id(slot, 0), None, now);
    }
    assert!(pool.is_ready());
    assert_eq!(pool.on_attach(&BEGIN).len(), 2 * usize::from(slots), "a begin and a slot-up each");
    pool
}

fn fed(actions: &[PoolAction]) -> usize {
    actions.iter().filter(|action| matches!(action, PoolAction::Feed(..))).count()
}

#[test]
fn a_worker_never_has_a_third_item() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    let counts: Vec<_> = (0..4).map(|number| fed(&pool.on_work(id(0, 0), batch(number)))).collect();
    assert_eq!(counts, [1, 1, 0, 0]);
    let actions = pool.on_done(id(0, 0), &done(0, 0), Bytes::new(), Bytes::new(), now);
    assert_eq!(fed(&actions), 1, "the next one when one is done");
}

#[test]
fn a_master_that_sends_without_credit_is_shut_out() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    let last = (0..20).map(|number| pool.on_work(id(0, 0), batch(number))).last().unwrap();
    assert!(matches!(&last[..], [PoolAction::CloseMaster { .. }]), "{last:?}");
}

#[test]
fn a_worker_that_has_done_more_than_it_was_given_is_killed() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    pool.on_work(id(0, 0), batch(0));
    pool.on_done(id(0, 0), &done(0, 0), Bytes::new(), Bytes::new(), now);
    let actions = pool.on_done(id(0, 0), &done(0, 0), Bytes::new(), Bytes::new(), now);
    assert_eq!(actions, [PoolAction::Kill(id(0, 0))]);
}

#[test]
fn what_was_meant_for_an_earlier_worker_is_void() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    pool.on_work(id(0, 0), batch(0));
    let actions = pool.on_lost(id(0, 0), lost(), now);
    assert!(matches!(&actions[..], [PoolAction::Report(_), PoolAction::Spawn(next)] if *next == id(0, 1)));
    pool.on_created(id(0, 1), Some(&BEGIN), now);
    assert!(pool.on_work(id(0, 0), batch(1)).is_empty());
    assert!(pool.on_done(id(0, 0), &done(0, 0), Bytes::new(), Bytes::new(), now).is_empty());
    assert_eq!(fed(&pool.on_work(id(0, 1), batch(2))), 1);
}

#[test]
fn what_a_dead_worker_had_finished_is_reported_before_its_loss() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    pool.on_work(id(0, 0), batch(0));
    let remains = Some((BatchId(0), Bytes::from_static(&[0; 16]), Bytes::from_static(b"row")));
    let actions = pool.on_lost(id(0, 0), Lost { remains, ..lost() }, now);
    let heads: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            PoolAction::Report(frame) => Some(&frame.head),
            _ => None,
        })
        .collect();
    assert!(matches!(heads[..], [SlaveToMaster::Report(_), SlaveToMaster::SlotLost(_)]), "{heads:?}");
}

#[test]
fn when_a_master_goes_only_workers_with_its_work_are_replaced() {
    let now = Instant::now();
    let mut pool = attached(3, now);
    pool.on_work(id(0, 0), batch(0));
    pool.on_work(id(1, 0), batch(1));
    pool.on_done(id(1, 0), &done(1, 1), Bytes::new(), Bytes::new(), now);
    let actions = pool.on_detach();
    assert_eq!(actions, [PoolAction::Kill(id(0, 0)), PoolAction::Kill(id(1, 0))], "in hand, held, idle");
    assert!(!pool.is_ready());
    let actions = pool.on_lost(id(0, 0), lost(), now);
    assert_eq!(actions, [PoolAction::Spawn(id(0, 1))], "and no master is told");
}

#[test]
fn an_idle_worker_that_holds_records_is_asked_to_finish_them() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    pool.on_work(id(0, 0), batch(0));
    pool.on_done(id(0, 0), &done(0, 3), Bytes::new(), Bytes::new(), now);
    assert!(pool.on_tick(now).is_empty());
    let actions = pool.on_tick(now + IDLE_FLUSH_AFTER);
    assert_eq!(fed(&actions), 1);
    assert!(pool.on_tick(now + IDLE_FLUSH_AFTER).is_empty(), "once at a time");
}

#[test]
fn workers_that_die_of_themselves_come_back_more_and_more_slowly_and_then_not() {
    let mut now = Instant::now();
    let mut pool = attached(1, now);
    for epoch in 0..START_FAILURES_MAX - 1 {
        let actions = pool.on_lost(id(0, epoch), lost(), now);
        assert!(!actions.iter().any(|action| matches!(action, PoolAction::Spawn(_))));
        now += RESPAWN_PAUSE * 2u32.pow(epoch);
        assert_eq!(pool.on_tick(now), [PoolAction::Spawn(id(0, epoch + 1))]);
        pool.on_created(id(0, epoch + 1), Some(&BEGIN), now);
    }
    let actions = pool.on_lost(id(0, START_FAILURES_MAX - 1), lost(), now);
    assert!(matches!(actions.last(), Some(PoolAction::GiveUp { .. })), "{actions:?}");
}

#[test]
fn idle_workers_that_die_now_and_then_never_end_their_slave() {
    let mut now = Instant::now();
    let mut pool = attached(1, now);
    for epoch in 0..50 {
        now += STARTED_WELL_AFTER;
        let actions = pool.on_lost(id(0, epoch), lost(), now);
        assert!(!actions.iter().any(|action| matches!(action, PoolAction::GiveUp { .. })), "{actions:?}");
        now += RESPAWN_PAUSE;
        assert_eq!(pool.on_tick(now), [PoolAction::Spawn(id(0, epoch + 1))]);
        pool.on_created(id(0, epoch + 1), Some(&BEGIN), now);
    }
}

#[test]
fn a_worker_that_dies_on_records_is_replaced_for_ever() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    for epoch in 0..50 {
        pool.on_work(id(0, epoch), batch(epoch.into()));
        let actions = pool.on_lost(id(0, epoch), lost(), now);
        assert_eq!(actions.last(), Some(&PoolAction::Spawn(id(0, epoch + 1))));
        pool.on_created(id(0, epoch + 1), Some(&BEGIN), now);
    }
}

#[test]
fn a_pool_that_stops_lets_workers_finish_and_replaces_none() {
    let now = Instant::now();
    let mut pool = attached(2, now);
    pool.on_work(id(0, 0), batch(0));
    assert_eq!(pool.on_stop(), [PoolAction::Stop(id(0, 0)), PoolAction::Stop(id(1, 0))]);
    pool.on_lost(id(1, 0), lost(), now);
    assert!(!pool.is_stopped());
    pool.on_lost(id(0, 0), lost(), now);
    assert!(pool.is_stopped());
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_rules(events in proptest::collection::vec((0u8..11, 0u16..3, 0u32..4), 1..300)) {
        let mut now = Instant::now();
        let (mut pool, _) = PoolState::new(3, now);
        let mut epochs = [0u32; 3];
        for (number, (event, slot, stale)) in events.into_iter().enumerate() {
            let current = id(slot, epochs[usize::from(slot)]);
            let any = id(slot, epochs[usize::from(slot)].saturating_sub(stale));
            now += Duration::from_millis(40);
            match event {
                0 => { pool.on_created(current, Some(&BEGIN), now); }
                1 => { pool.on_attach(&BEGIN); }
                2 => { pool.on_detach(); }
                3 | 4 => { pool.on_work(any, batch(number as u64)); }
                5 | 6 => {
                    if pool.slots[usize::from(slot)].at_worker > 0 {
                        pool.on_done(current, &done(0, stale), Bytes::new(), Bytes::new(), now);
                    }
                }
                7 => {
                    if matches!(pool.slots[usize::from(slot)].phase, Phase::Ready | Phase::Retiring | Phase::Ending) {
                        pool.on_lost(current, lost(), now);
                        epochs[usize::from(slot)] += 1;
                    }
                }
                8 => { pool.on_tick(now); }
                9 => { pool.on_reload(); }
                _ => { pool.on_lost(id(slot, epochs[usize::from(slot)] + 7), lost(), now); }
            }
            pool.sanity_check();
        }
    }
}

#[test]
fn a_pool_whose_workers_end_nothing_says_so_and_an_idle_one_does_not() {
    let start = Instant::now();
    let mut pool = attached(3, start);
    let said = |pool: &mut PoolState, seconds: std::ops::Range<u32>| -> Vec<_> {
        let ticks =
            (seconds.start * 2..seconds.end * 2).map(|half| start + Duration::from_millis(500) * half);
        ticks.flat_map(|now| pool.on_tick(now)).collect()
    };
    assert_eq!(said(&mut pool, 0..30), []);
    pool.on_work(id(1, 0), batch(0));
    pool.on_work(id(2, 0), batch(1));
    let still = Duration::from_secs(10);
    let first = PoolAction::SayStandstill { still, slot: SlotIndex(1), others: 1 };
    assert_eq!(said(&mut pool, 30..45), [first]);
    pool.on_done(id(1, 0), &done(0, 0), Bytes::new(), Bytes::new(), start + Duration::from_secs(45));
    let next = PoolAction::SayStandstill { still, slot: SlotIndex(2), others: 0 };
    assert_eq!(said(&mut pool, 45..60), [next]);
}

fn stopped(actions: &[PoolAction]) -> usize {
    actions.iter().filter(|action| matches!(action, PoolAction::Stop(_))).count()
}

/// A pool without a master, whose workers are ready.
fn ready(slots: u16, now: Instant) -> PoolState {
    let (mut pool, _) = PoolState::new(slots, now);
    for slot in 0..slots {
        pool.on_created(id(slot, 0), None, now);
    }
    pool
}

#[test]
fn without_a_master_all_workers_are_reloaded_at_once() {
    let now = Instant::now();
    let mut pool = ready(4, now);
    assert_eq!(stopped(&pool.on_reload()), 4);
    let begin = pool.on_attach(&BEGIN);
    assert!(begin.is_empty(), "no worker of the old build is shown to a master: {begin:?}");
    for slot in 0..4 {
        pool.on_lost(id(slot, 0), lost(), now);
        assert!(!pool.is_reloaded());
        pool.on_created(id(slot, 1), Some(&BEGIN), now);
    }
    assert!(pool.is_reloaded());
}

#[test]
fn while_a_master_works_few_slots_are_without_a_worker() {
    let now = Instant::now();
    let mut pool = attached(8, now);
    assert_eq!(stopped(&pool.on_reload()), 2);
    assert_eq!(stopped(&pool.on_tick(now)), 0, "two are away");
    pool.on_lost(id(0, 0), lost(), now);
    pool.on_created(id(0, 1), Some(&BEGIN), now);
    assert_eq!(stopped(&pool.on_tick(now)), 1);
}

#[test]
fn a_worker_finishes_its_items_and_what_it_holds_before_it_is_reloaded() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    for number in 0..3 {
        pool.on_work(id(0, 0), batch(number));
    }
    assert_eq!(stopped(&pool.on_reload()), 0);
    assert!(pool.on_work(id(0, 0), batch(3)).is_empty(), "it gets nothing more");
    let actions = pool.on_done(id(0, 0), &done(0, 0), Bytes::new(), Bytes::new(), now);
    assert_eq!((fed(&actions), stopped(&actions)), (0, 0), "what waited for it goes back");
    let actions = pool.on_done(id(0, 0), &done(1, 1), Bytes::new(), Bytes::new(), now);
    let flush: Frame<HostToWorker> = HostToWorker::Flush { item: BatchId::OWN_FLUSH, last: true }.into();
    assert!(matches!(&actions[..], [PoolAction::Report(_), PoolAction::Feed(_, item)] if *item == flush));
    let flushed = ItemDone { item: BatchId::OWN_FLUSH, ..done(0, 0) };
    assert_eq!(stopped(&pool.on_done(id(0, 0), &flushed, Bytes::new(), Bytes::new(), now)), 1);
    let actions = pool.on_lost(id(0, 0), lost(), now);
    assert!(matches!(&actions[..], [PoolAction::Report(_), PoolAction::Spawn(next)] if *next == id(0, 1)));
}

#[test]
fn a_worker_that_was_starting_when_its_slave_was_reloaded_is_replaced() {
    let now = Instant::now();
    let (mut pool, _) = PoolState::new(1, now);
    assert!(pool.on_reload().is_empty());
    assert_eq!(stopped(&pool.on_created(id(0, 0), None, now)), 1);
}

#[test]
fn a_worker_that_dies_in_a_reload_is_replaced_by_one_of_the_new_build() {
    let now = Instant::now();
    let mut pool = attached(1, now);
    pool.on_work(id(0, 0), batch(0));
    pool.on_reload();
    pool.on_lost(id(0, 0), lost(), now);
    pool.on_created(id(0, 1), Some(&BEGIN), now);
    assert!(pool.is_reloaded());
}

#[test]
fn a_master_that_leaves_in_a_reload_leaves_no_worker_of_the_old_build() {
    let now = Instant::now();
    let mut pool = attached(4, now);
    pool.on_work(id(0, 0), batch(0));
    pool.on_reload();
    let actions = pool.on_detach();
    assert_eq!(actions.iter().filter(|action| matches!(action, PoolAction::Kill(_))).count(), 1);
    assert_eq!(stopped(&actions), 3);
}
