//! Numbers that look random and can be repeated: every choice of a simulation is made here.

use std::time::Duration;

/// A seeded sequence (`SplitMix64`, Steele and others 2014: any seed is good, 0 and its neighbours included).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The sequence that belongs to a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another sequence, which does not depend on how often this one is asked from now on.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.number())
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        (self.number() % sides.max(1) as u64) as usize
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.roll(most - least + 1)
    }

    /// `true` once in so many times, on average.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    /// A time from `least` to `most`, in whole microseconds.
    pub(crate) fn duration(&mut self, least: Duration, most: Duration) -> Duration {
        let (least, most) = (least.as_micros() as usize, most.as_micros() as usize);
        Duration::from_micros(self.between(least, most.max(least)) as u64)
    }
}
