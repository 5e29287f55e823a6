//! A map that forgets: it keeps what was used recently and drops what was not. So a worker does not grow with
//! its input.

use std::collections::HashMap;

/// The entries used last: at least `entries_max / 2` and at most `entries_max` of them, once that many have
/// been seen.
#[derive(Debug)]
pub(crate) struct Memory<V> {
    recent: HashMap<String, V>,
    older: HashMap<String, V>,
    recent_max: usize,
}

impl<V> Memory<V> {
    /// An empty memory, with room for at least two entries.
    pub(crate) fn of(entries_max: usize) -> Self {
        Self { recent: HashMap::new(), older: HashMap::new(), recent_max: (entries_max / 2).max(1) }
    }

    /// The value that is remembered under a name.
    pub(crate) fn get(&mut self, name: &str) -> Option<&mut V> {
        if !self.recent.contains_key(name) {
            let value = self.older.remove(name)?;
            self.insert(name, value);
        }
        self.recent.get_mut(name)
    }

    /// Remembers a value under a name.
    pub(crate) fn insert(&mut self, name: &str, value: V) {
        self.older.remove(name);
        if self.recent.len() >= self.recent_max && !self.recent.contains_key(name) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(name.to_owned(), value);
    }

    /// Forgets the value under a name.
    pub(crate) fn remove(&mut self, name: &str) {
        self.recent.remove(name);
        self.older.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let mut memory = Memory::of(4);
        memory.insert("kept", 0);
        for number in 1..100 {
            memory.insert(&number.to_string(), number);
            assert_eq!(memory.get("kept"), Some(&mut 0));
            assert!(memory.recent.len() + memory.older.len() <= 4);
        }
        assert_eq!(memory.get("1"), None);
        assert_eq!(memory.get("99"), Some(&mut 99));
        memory.remove("99");
        assert_eq!(memory.get("99"), None);
    }
}
