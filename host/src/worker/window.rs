//! The records that a task has got in one call. Pure.

/// What the task has said of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InCall {
    /// Nothing yet.
    Open,
    /// How it has ended.
    Finished,
    /// That it keeps the record beyond the call.
    Held,
}

/// Records of one item that follow each other.
#[derive(Debug)]
pub(super) struct Window {
    first: u16,
    places: Vec<InCall>,
}

impl Window {
    /// So many records, from the one with that place in its item on.
    pub(super) fn new(first: u16, records: usize) -> Self {
        Self { first, places: vec![InCall::Open; records] }
    }

    /// How many there are.
    pub(super) fn records(&self) -> usize {
        self.places.len()
    }

    /// The place in the item of the record with that id, if it is one of these. `item` is the id that the
    /// first record of the item has.
    pub(super) fn index_of(&self, item: u64, record: u64) -> Option<u16> {
        let index = u16::try_from(record.checked_sub(item)?).ok()?;
        let nth = index.checked_sub(self.first)?;
        (usize::from(nth) < self.places.len()).then_some(index)
    }

    /// What the task has said of one.
    pub(super) fn place(&self, index: u16) -> InCall {
        self.places[usize::from(index - self.first)]
    }

    /// The task says something of one.
    pub(super) fn set(&mut self, index: u16, place: InCall) {
        self.places[usize::from(index - self.first)] = place;
    }

    /// The places in the item, and whether the task has said nothing of a record.
    pub(super) fn into_places(self) -> impl Iterator<Item = (u16, bool)> {
        (self.first..=u16::MAX).zip(self.places).map(|(index, place)| (index, place == InCall::Open))
    }

    /// Those of which the task has said that, in their order.
    pub(super) fn of(&self, place: InCall) -> impl Iterator<Item = u16> {
        let all = (self.first..=u16::MAX).zip(&self.places);
        all.filter(move |(_, other)| **other == place).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_by_its_id() {
        let window = Window::new(10, 3);
        let found: Vec<_> = (0..20).map(|id| window.index_of(5, id)).collect();
        let mut expected = vec![None; 20];
        (15..18).for_each(|id| expected[id] = Some(id as u16 - 5));
        assert_eq!(found, expected);
        assert_eq!(window.index_of(5, u64::MAX), None);
    }

    #[test]
    fn records_are_open_until_the_task_says_more() {
        let mut window = Window::new(u16::MAX - 2, 3);
        window.set(u16::MAX, InCall::Held);
        window.set(u16::MAX - 2, InCall::Finished);
        let of = |place| window.of(place).collect::<Vec<_>>();
        assert_eq!(of(InCall::Open), [u16::MAX - 1]);
        assert_eq!(of(InCall::Held), [u16::MAX]);
        assert_eq!(of(InCall::Finished), [u16::MAX - 2]);
        let all: Vec<_> = window.into_places().collect();
        assert_eq!(all, [(u16::MAX - 2, false), (u16::MAX - 1, true), (u16::MAX, false)]);
    }
}
