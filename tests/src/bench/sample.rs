//! One finding: what was measured, how often, and what it should be.

use serde::Serialize;

/// What a finding is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The median, or the ratio if there is one, is at least this.
    AtLeast(f64),
    /// It is at most this.
    AtMost(f64),
}

/// Samples of one figure.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The series that it belongs to: one plot.
    pub series: &'static str,
    /// What was measured.
    pub name: String,
    /// The unit.
    pub unit: &'static str,
    /// Its place in its series, if that is a number: workers, slaves, bytes.
    pub at: Option<f64>,
    /// All samples, in the order in which they were taken.
    pub samples: Vec<f64>,
    /// The median of what it is compared with, measured in turns with it.
    pub against: Option<f64>,
    /// What it should be.
    pub target: Option<Target>,
}

impl Finding {
    /// A figure.
    pub fn new(series: &'static str, name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        Self { series, name: name.into(), unit, at: None, samples, against: None, target: None }
    }

    /// Sets its place in its series.
    pub fn at(self, at: f64) -> Self {
        Self { at: Some(at), ..self }
    }

    /// Sets what it is compared with.
    pub fn against(self, median: f64) -> Self {
        Self { against: Some(median), ..self }
    }

    /// Sets what it should be.
    pub fn should_be(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// The middle of the samples.
    pub fn median(&self) -> f64 {
        median(&self.samples)
    }

    /// The smallest and the largest sample.
    pub fn range(&self) -> (f64, f64) {
        let least = self.samples.iter().copied().fold(f64::INFINITY, f64::min);
        (least, self.samples.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    /// Its ratio to what it is compared with.
    pub fn ratio(&self) -> Option<f64> {
        self.against.map(|against| self.median() / against)
    }

    /// Whether it is what it should be; `None` if it has no target.
    pub fn is_met(&self) -> Option<bool> {
        let figure = self.ratio().unwrap_or_else(|| self.median());
        self.target.map(|target| match target {
            Target::AtLeast(least) => figure >= least,
            Target::AtMost(most) => figure <= most,
        })
    }
}

/// The middle value. If their number is even, the mean of the two in the middle; if there are none, not a
/// number.
pub(super) fn median(samples: &[f64]) -> f64 {
    percentile(samples, 0.5)
}

/// The value that so large a share of the samples does not exceed, interpolated linearly between neighbours.
pub(super) fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_their_neighbours() {
        let samples = [4.0, 1.0, 3.0, 2.0];
        assert_eq!((median(&samples), percentile(&samples, 0.0), percentile(&samples, 1.0)), (2.5, 1.0, 4.0));
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_is_judged_before_an_absolute_figure() {
        let finding = Finding::new("s", "n", "M/s", vec![8.0]).should_be(Target::AtLeast(0.7));
        assert_eq!(finding.clone().against(10.0).is_met(), Some(true));
        assert_eq!(finding.against(16.0).is_met(), Some(false));
    }
}
