//! What every registry must do when many use it at once, each over its own connection.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use simplegrid::internals::registry::{Node, Registry, RegistryError, RegistryUrl, Stats};
use simplegrid_tests::wait;

use super::test_grid::{LEASE, Place, TestGrid, announcement, key, reservation};

contracts! {
    two_masters_that_race_for_the_last_node_never_both_get_it,
    a_master_gets_the_last_node_though_its_slave_beats,
    many_masters_share_many_nodes_and_no_node_is_held_twice,
    many_slaves_beat_at_once_and_none_fails,
}

/// Runs `work` on a thread with its own connection, as another process would.
fn on_another_connection<T: Send + 'static, F: Future<Output = T>>(
    url: &RegistryUrl,
    work: impl FnOnce(Registry) -> F + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let url = url.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { work(Registry::open(&url).await.unwrap()).await })
    })
}

async fn two_masters_that_race_for_the_last_node_never_both_get_it(place: &Place) {
    const ROUNDS: usize = 1000;
    let grid = TestGrid::new(place).await;
    let registry = Registry::open(&grid.url).await.unwrap();
    registry.announce(&announcement(1)).await.unwrap();
    registry.enable(&key(1)).await.unwrap();
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let masters = ["m", "n"].map(|name| {
        let barrier = Arc::clone(&barrier);
        on_another_connection(&grid.url, move |registry| async move {
            // Nothing is unwrapped between the barriers, because a panic would leave the other master waiting
            // for ever.
            let mut won = Vec::new();
            for _ in 0..ROUNDS {
                let beat = registry.beat(&key(1), Stats::default()).await;
                barrier.wait();
                let reserved = registry.reserve(&reservation(name), 1, None, LEASE).await;
                barrier.wait();
                let released = registry.release_reservation(&reservation(name)).await;
                won.push((beat, reserved, released));
                barrier.wait();
            }
            let count = |(beat, reserved, released): (Result<_, _>, Result<Vec<Node>, _>, Result<_, _>)| {
                let _: (Node, usize) = (beat.unwrap(), released.unwrap());
                reserved.unwrap().len()
            };
            won.into_iter().map(count).collect::<Vec<usize>>()
        })
    });
    let [m, n] = masters.map(|master| master.join().unwrap());
    for round in 0..ROUNDS {
        assert_eq!(m[round] + n[round], 1, "round {round}");
    }
}

async fn many_masters_share_many_nodes_and_no_node_is_held_twice(place: &Place) {
    let ports: Vec<u16> = (1..=40).collect();
    let grid = TestGrid::new(place).await;
    let registry = Registry::open(&grid.url).await.unwrap();
    for port in &ports {
        registry.announce(&announcement(*port)).await.unwrap();
        registry.enable(&key(*port)).await.unwrap();
    }
    let masters: Vec<_> = (0..8)
        .map(|master| {
            on_another_connection(&grid.url, move |registry| async move {
                let name = reservation(&format!("master {master}"));
                let mut held = Vec::new();
                for _ in 0..10 {
                    held.extend(registry.reserve(&name, 1, None, LEASE).await.unwrap());
                }
                super::test_grid::ports(&held)
            })
        })
        .collect();
    let mut held: Vec<u16> = masters.into_iter().flat_map(|master| master.join().unwrap()).collect();
    held.sort_unstable();
    assert_eq!(held, ports);
}

async fn many_slaves_beat_at_once_and_none_fails(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1, 2, 3, 4]).await;
    let slaves: Vec<_> = (0..8u16)
        .map(|slave| {
            on_another_connection(&grid.url, move |registry| async move {
                for done in 0..100 {
                    let stats = Stats { done, ..Stats::default() };
                    registry.beat(&key(1 + slave % 4), stats).await.unwrap();
                    registry.list().await.unwrap();
                }
            })
        })
        .collect();
    slaves.into_iter().for_each(|slave| slave.join().unwrap());
    assert_eq!(grid.node(1).await.done, Some(99));
}

/// A beat locks the row for a moment, and still the master must find it. However the machine shares its time,
/// the master goes on until there were many beats.
async fn a_master_gets_the_last_node_though_its_slave_beats(place: &Place) {
    const ROUNDS_MIN: usize = 300;
    const BEATS_MIN: usize = 100;
    let grid = TestGrid::new(place).await;
    let registry = Registry::open(&grid.url).await.unwrap();
    registry.announce(&announcement(1)).await.unwrap();
    registry.enable(&key(1)).await.unwrap();
    let (is_over, beats) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (over, beaten) = (Arc::clone(&is_over), Arc::clone(&beats));
    let slave = on_another_connection(&grid.url, move |registry| async move {
        while !over.load(SeqCst) {
            registry.beat(&key(1), Stats::default()).await?;
            beaten.fetch_add(1, SeqCst);
        }
        Ok::<(), RegistryError>(())
    });
    let deadline = Instant::now() + wait::PATIENCE;
    let mut reserved = Vec::new();
    while reserved.len() < ROUNDS_MIN || beats.load(SeqCst) < BEATS_MIN {
        if slave.is_finished() || Instant::now() > deadline {
            break;
        }
        reserved.push(registry.reserve(&reservation("m"), 1, None, LEASE).await);
        registry.release_reservation(&reservation("m")).await.unwrap();
    }
    is_over.store(true, SeqCst);
    slave.join().unwrap().unwrap();
    let (rounds, beats) = (reserved.len(), beats.load(SeqCst));
    assert!(rounds >= ROUNDS_MIN && beats >= BEATS_MIN, "only {rounds} rounds and {beats} beats");
    for (round, nodes) in reserved.into_iter().enumerate() {
        assert_eq!(nodes.unwrap().len(), 1, "round {round}");
    }
}
