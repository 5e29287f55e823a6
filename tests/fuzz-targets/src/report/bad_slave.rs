//! What a slave can say that breaks every rule but the message format: messages that are almost right.

use std::time::Duration;

use bytes::Bytes;
use simplegrid::internals::ids::{BatchId, Epoch, SlotId, SlotIndex};
use simplegrid::internals::master::Action;
use simplegrid::internals::scoreboard::Outcome;
use simplegrid::internals::wire::{Blame, LossKind, ReportHead, SlotLost};

use super::grid::{Grid, SLOTS};
use crate::script::Script;

/// Says one thing; returns what follows from it.
pub(super) fn say(grid: &mut Grid, script: &mut Script<'_>) -> Vec<Action> {
    let slot = SlotId { node: grid.bad, index: SlotIndex(u16::from(script.below(SLOTS as u8 + 1))) };
    match script.below(16) {
        0 => {
            let epoch = epoch(grid, slot, script);
            grid.state.on_slot_up(slot, epoch, grid.now)
        }
        1 => lose_slot(grid, slot, script),
        2 if script.below(8) == 0 => grid.state.on_node_draining(grid.bad, grid.now),
        3 => {
            grid.state.on_round_trip(grid.bad, Duration::from_micros(1 << script.below(40)));
            Vec::new()
        }
        _ => report(grid, slot, script),
    }
}

fn report(grid: &mut Grid, slot: SlotId, script: &mut Script<'_>) -> Vec<Action> {
    let epoch = epoch(grid, slot, script);
    let batch = batch(grid, slot, script);
    let choices = script.byte();
    let report = ReportHead {
        slot: slot.index,
        epoch,
        batch,
        all_done: choices & 1 == 1,
        last: choices & 2 == 2,
        busy_ns: 1 << script.below(64),
    };
    let outcomes = if choices & 4 == 4 { script.below(20) } else { 0 };
    let mut table = outcome_table(grid, slot, batch, outcomes, script);
    if choices & 8 == 8 {
        table.extend_from_slice(script.bytes());
    }
    // An `H` is the honest slave's mark.
    let body: Vec<u8> = script.bytes().iter().map(|byte| if *byte == b'H' { b'h' } else { *byte }).collect();
    note_credit(grid, slot, &report);
    grid.state.on_report(grid.bad, &report, &table.into(), &Bytes::from(body), grid.now)
}

fn outcome_table(grid: &Grid, slot: SlotId, of: BatchId, count: u8, script: &mut Script<'_>) -> Vec<u8> {
    let (mut table, mut end) = (Vec::new(), 0);
    for _ in 0..count {
        let of = if script.below(4) == 0 { batch(grid, slot, script) } else { of };
        end += u64::from(script.below(8));
        let (index, status) = (script.below(24), script.below(7));
        let low = of.0 as u32;
        // 6 is not a status; an `Outcome` cannot have it.
        let words = [end, u64::from(low) | u64::from(index) << 32 | u64::from(status) << 48];
        table.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    debug_assert!(
        table.len() % std::mem::size_of::<[u64; 2]>() == 0 && Outcome::all(&table).count() > 0 || count == 0
    );
    table
}

fn lose_slot(grid: &mut Grid, slot: SlotId, script: &mut Script<'_>) -> Vec<Action> {
    let lost_epoch = epoch(grid, slot, script);
    let kinds = [LossKind::Crash, LossKind::Timeout, LossKind::Panic, LossKind::Flush];
    let lost = SlotLost {
        slot: slot.index,
        epoch: lost_epoch,
        blame: script
            .flag()
            .then(|| Blame { batch: batch(grid, slot, script), index: script.below(24).into(), records: 1 })
            .map(|blame| Blame { records: if script.flag() { script.byte().into() } else { 1 }, ..blame }),
        kind: kinds[usize::from(script.below(4))],
        message: "so it says".to_owned(),
    };
    if let Some(items) = grid.at_bad.get_mut(&slot) {
        items.retain(|item| item.epoch != lost_epoch);
    }
    grid.state.on_slot_lost(grid.bad, &lost, grid.now)
}

/// Mostly the epoch that the slot has.
fn epoch(grid: &Grid, slot: SlotId, script: &mut Script<'_>) -> Epoch {
    let current = grid.at_bad.get(&slot).and_then(|items| items.last()).map_or(0, |item| item.epoch.0);
    match script.below(8) {
        0 => Epoch(current + 1),
        1 => Epoch(script.byte().into()),
        _ => Epoch(current),
    }
}

/// Mostly a batch that the slot has.
fn batch(grid: &Grid, slot: SlotId, script: &mut Script<'_>) -> BatchId {
    let items = grid.at_bad.get(&slot).map_or(&[][..], Vec::as_slice);
    match (script.below(8), items) {
        (0, _) => BatchId::OWN_FLUSH,
        (1, _) | (_, []) => BatchId(script.byte().into()),
        (choice, items) => items[usize::from(choice) % items.len()].batch,
    }
}

/// The last report of what is in flight gives credit back, whatever it contains.
fn note_credit(grid: &mut Grid, slot: SlotId, report: &ReportHead) {
    if let Some(items) = grid.at_bad.get_mut(&slot).filter(|_| report.last) {
        items.retain(|item| item.batch != report.batch || item.epoch != report.epoch);
    }
}
