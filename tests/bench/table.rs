//! Medians, ratios and goals, as a table.

use std::fmt;
use std::time::Duration;

/// A figure and what was hoped for.
struct Row {
    what: String,
    figure: String,
    goal: String,
    met: Option<bool>,
}

/// Everything that was measured, in its order.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// A figure without a goal.
    pub(crate) fn note(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        self.rows.push(Row { what: what.into(), figure: figure.into(), goal: String::new(), met: None });
    }

    /// A duration without a goal: its median, and the smallest and the largest.
    pub(crate) fn times(&mut self, what: impl Into<String>, times: &[Duration]) {
        let (least, most) = (times.iter().min(), times.iter().max());
        let (least, most) = (least.copied().unwrap_or_default(), most.copied().unwrap_or_default());
        self.note(what, format!("{} ms  ({} to {})", millis(median(times)), millis(least), millis(most)));
    }

    /// A figure that has to be below its goal; the unit stands behind both.
    pub(crate) fn below(&mut self, what: impl Into<String>, figure: f64, goal: f64, unit: &str) {
        self.rows.push(Row {
            what: what.into(),
            figure: format!("{figure:.2}{unit}"),
            goal: format!("{goal}{unit}"),
            met: Some(figure <= goal),
        });
    }

    /// Whether every goal is met.
    pub(crate) fn all_met(&self) -> bool {
        self.rows.iter().all(|row| row.met != Some(false))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Row { what, figure, goal, met } in &self.rows {
            let verdict = match met {
                None => String::new(),
                Some(true) => format!("goal {goal}  met"),
                Some(false) => format!("goal {goal}  MISSED"),
            };
            writeln!(f, "{what:<58} {figure:<28} {verdict}")?;
        }
        Ok(())
    }
}

/// Milliseconds with one digit behind the point.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => Duration::ZERO,
        (count, middle) if count % 2 == 1 => sorted[middle],
        (_, middle) => (sorted[middle - 1] + sorted[middle]) / 2,
    }
}

/// The median of the ratios of neighbours: what the machine did otherwise at that time has hit both.
pub(crate) fn ratio(times: &[Duration], floors: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> = times.iter().zip(floors).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    match (ratios.len(), ratios.len() / 2) {
        (0, _) => f64::NAN,
        (count, middle) if count % 2 == 1 => ratios[middle],
        (_, middle) => f64::midpoint(ratios[middle - 1], ratios[middle]),
    }
}
