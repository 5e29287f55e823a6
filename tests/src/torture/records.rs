//! What each record asks for, and what must become of it. Mirrors `hostile-plugin/src/tagged.rs`.

use crate::dice::Dice;

/// What a record asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// One row.
    Ok,
    /// So many rows.
    Rows(usize),
    /// One row, after so many milliseconds.
    Sleep(usize),
    /// A row at once, and a second one when it is finished.
    Hold,
    /// Finishes the records that are held.
    Finish,
    /// A row with so many more bytes.
    Huge(usize),
    /// Leaves a process behind.
    Child,
    /// Prints to standard output.
    Stdout,
    /// Prints a line of so many bytes to standard error.
    Stderr(usize),
    /// Fails the first time.
    RetryOnce,
    /// Fails the first time, after it has written half a row.
    LeakOnce,
    /// Always goes wrong.
    Poison(Poison),
}

/// What always goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poison {
    /// The task panics.
    Panic,
    /// The process aborts.
    Abort,
    /// It follows a bad pointer.
    Segv,
    /// It ends as if all were well.
    Exit,
    /// It takes all the memory that there is.
    Oom,
    /// It never returns.
    Hang,
    /// It aborts after half a row.
    LeakAbort,
    /// The task says that the record is bad.
    Reject,
    /// The task says so after half a row.
    Leak,
    /// The task asks for retries for ever.
    Retry,
    /// It is held, and the process aborts in the flush that follows.
    FlushAbort,
    /// It aborts, and leaves a process behind that has all of its descriptors.
    Orphan,
    /// It kills its slave.
    KillSlave,
}

impl Poison {
    /// Every kind that needs no time limit.
    const QUICK: [Self; 9] = [
        Self::Panic,
        Self::Abort,
        Self::Segv,
        Self::Exit,
        Self::Oom,
        Self::LeakAbort,
        Self::Reject,
        Self::Leak,
        Self::Retry,
    ];

    /// The word for it in a record.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Abort => "abort",
            Self::Segv => "segv",
            Self::Exit => "exit0",
            Self::Oom => "oom",
            Self::Hang => "hang",
            Self::LeakAbort => "leak-abort",
            Self::Reject => "reject",
            Self::Leak => "leak",
            Self::Retry => "retry",
            Self::FlushAbort => "flush-abort",
            Self::Orphan => "orphan",
            Self::KillSlave => "kill-slave",
        }
    }

    /// The reason for which it is reported, unless something else happened to its last worker.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Abort | Self::Segv | Self::Exit | Self::Oom => "crash",
            Self::LeakAbort | Self::FlushAbort | Self::Orphan => "crash",
            Self::KillSlave => "lost",
            Self::Hang => "timeout",
            Self::Reject | Self::Leak => "rejected",
            Self::Retry => "error",
        }
    }
}

impl Order {
    /// How a record says it.
    fn text(self) -> String {
        match self {
            Self::Ok => "ok".to_owned(),
            Self::Rows(count) => format!("rows {count}"),
            Self::Sleep(ms) => format!("sleep {ms}"),
            Self::Hold => "hold".to_owned(),
            Self::Finish => "finish".to_owned(),
            Self::Huge(bytes) => format!("huge {bytes}"),
            Self::Child => "child".to_owned(),
            Self::Stdout => "stdout".to_owned(),
            Self::Stderr(bytes) => format!("stderr {bytes}"),
            Self::RetryOnce => "retry-once".to_owned(),
            Self::LeakOnce => "leak-once".to_owned(),
            Self::Poison(poison) => poison.word().to_owned(),
        }
    }

    /// The word under which it is counted.
    pub(super) fn kind(self) -> String {
        self.text().split(' ').next().unwrap_or_default().to_owned()
    }

    /// How many rows it has when it is done.
    pub(super) fn rows(self) -> usize {
        match self {
            Self::Rows(count) => count,
            Self::Hold => 2,
            Self::Poison(_) => 0,
            _ => 1,
        }
    }

    /// Whether nothing in the record itself makes it run twice.
    pub(super) fn is_plain(self) -> bool {
        !matches!(self, Self::Hold | Self::RetryOnce | Self::LeakOnce | Self::Poison(_))
    }
}

/// How records are written and told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Each is a line.
    Lines,
    /// Each is a row of CSV; its padding is quoted, and holds line ends, commas and quotes.
    Csv,
    /// Each ends with a NUL; its padding holds line ends.
    Nul,
}

impl Form {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Lines, Self::Csv, Self::Nul];

    /// The word for it on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Csv => "csv",
            Self::Nul => "nul",
        }
    }

    /// What ends a record.
    pub(super) fn end(self) -> char {
        if self == Self::Nul { '\0' } else { '\n' }
    }

    fn padding(self, bytes: usize) -> String {
        let filled = |pattern: &str| pattern.chars().cycle().take(bytes).collect::<String>();
        match self {
            Self::Lines => filled("x"),
            Self::Csv => format!("\"{}\"", filled("x\n,x").replace(",x", ",\"\"")),
            Self::Nul => filled("x\nx"),
        }
    }
}

/// A record of the input. Its id is its place in the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    /// What it asks for.
    pub order: Order,
    /// Its key.
    pub key: usize,
    padding: usize,
}

impl Planned {
    /// Its text, without the end.
    pub(super) fn text(&self, id: usize, form: Form) -> String {
        format!("@{},{id},{},{}", self.key, self.order.text(), form.padding(self.padding))
    }
}

/// How a round's records are mixed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    /// How many.
    pub records: usize,
    /// How many keys they have.
    pub keys: usize,
    /// One in so many is poison; 0 for none.
    pub poison_one_in: usize,
    /// Whether some hang: only with a time limit.
    pub hangs: bool,
    /// How many crash a flush: each makes all records that are held with it wait for a worker of their own.
    pub flush_aborts: usize,
    /// How many leave an heir behind when they die.
    pub orphans: usize,
    /// How many kill their slave.
    pub slave_kills: usize,
    /// One in so many fills the log; 0 for none.
    pub loud_one_in: usize,
    /// One in so many is held; 0 for none.
    pub held_one_in: usize,
    /// One in so many takes some time.
    pub slow_one_in: usize,
    /// One in so many has up to so many bytes of padding.
    pub long_one_in: usize,
    /// How records are written and told apart.
    pub padding_max: usize,
}

impl Mix {
    /// Makes the records.
    pub(super) fn throw(&self, dice: &mut Dice) -> Vec<Planned> {
        // Few records hang: each costs its time limit as often as it is tried.
        let mut hangs_left = usize::from(self.hangs) * 2;
        let kinds = [
            (Poison::FlushAbort, self.flush_aborts),
            (Poison::Orphan, self.orphans),
            (Poison::KillSlave, self.slave_kills),
        ];
        let chosen = kinds.into_iter().flat_map(|(poison, count)| std::iter::repeat_n(poison, count));
        let chosen: Vec<_> = chosen.map(|poison| (dice.roll(self.records), poison)).collect();
        (0..self.records)
            .map(|id| {
                let mut order = self.throw_order(dice, &mut hangs_left);
                if let Some((_, poison)) = chosen.iter().find(|(chosen, _)| *chosen == id) {
                    order = Order::Poison(*poison);
                }
                let padding =
                    if dice.once_in(self.long_one_in) { dice.roll(self.padding_max) } else { dice.roll(20) };
                Planned { order, key: dice.roll(self.keys), padding }
            })
            .collect()
    }

    fn throw_order(&self, dice: &mut Dice, hangs_left: &mut usize) -> Order {
        if self.poison_one_in > 0 && dice.once_in(self.poison_one_in) {
            if *hangs_left > 0 && dice.once_in(4) {
                *hangs_left -= 1;
                return Order::Poison(Poison::Hang);
            }
            return Order::Poison(dice.pick(&Poison::QUICK));
        }
        if self.held_one_in > 0 && dice.once_in(self.held_one_in) {
            return if dice.once_in(5) { Order::Finish } else { Order::Hold };
        }
        if self.loud_one_in > 0 && dice.once_in(self.loud_one_in) {
            return Order::Stderr(dice.between(1_000, 8_000));
        }
        if dice.once_in(self.slow_one_in) {
            return Order::Sleep(dice.between(1, 20));
        }
        match dice.roll(200) {
            0..20 => Order::Rows(dice.roll(4)),
            20 => Order::Huge(dice.roll(2_000_000)),
            21 => Order::Child,
            22..24 => Order::Stdout,
            24..27 => Order::RetryOnce,
            27..30 => Order::LeakOnce,
            _ => Order::Ok,
        }
    }
}
