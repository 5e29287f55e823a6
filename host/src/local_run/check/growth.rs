//! Whether memory grows with the records. *Pure*.

/// Growth of one window that is not looked at: allocators take memory in steps.
const NOISE_BYTES: u64 = 256 * 1024;

/// Windows in a row that must grow alike.
const WINDOWS: usize = 3;

/// What the sizes after each window say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// The last windows took nothing more.
    Flat,
    /// Each of the last windows took about so many bytes more.
    Steady(u64),
    /// Neither: more windows are needed.
    Unclear,
}

/// Judges the sizes after each window, the oldest first.
pub(super) fn judge(sizes: &[u64]) -> Growth {
    let growths: Vec<_> = sizes.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let Some(last) = growths.len().checked_sub(WINDOWS).map(|from| &growths[from..]) else {
        return Growth::Unclear;
    };
    let (least, most) = (last.iter().min(), last.iter().max());
    match (least.copied().unwrap_or_default(), most.copied().unwrap_or_default()) {
        (_, most) if most <= NOISE_BYTES => Growth::Flat,
        (least, most) if least > NOISE_BYTES && most <= least.saturating_mul(2) => {
            Growth::Steady(last.iter().sum::<u64>() / WINDOWS as u64)
        }
        _ => Growth::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_windows_that_grow_alike_are_a_leak() {
        let mib = |sizes: &[u64]| judge(&sizes.iter().map(|size| size << 20).collect::<Vec<_>>());
        assert_eq!(mib(&[5, 7, 9]), Growth::Unclear);
        assert_eq!(mib(&[5, 7, 9, 11]), Growth::Steady(2 << 20));
        assert_eq!(mib(&[5, 9, 9, 9, 9]), Growth::Flat);
        assert_eq!(mib(&[5, 5, 13, 13]), Growth::Unclear);
        assert_eq!(mib(&[9, 8, 7, 6]), Growth::Flat);
    }
}
