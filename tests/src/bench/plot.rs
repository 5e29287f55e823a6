//! The findings as pictures (SVG).

use std::fs;
use std::path::Path;

use plotters::prelude::*;

use super::findings::Findings;
use super::sample::Finding;

const SIZE: (u32, u32) = (760, 420);
const COLOUR: RGBColor = RGBColor(38, 96, 164);
const FONT: (&str, u32) = ("sans-serif", 14);

/// A plot: its file's name, its series, its title, and the label of its horizontal axis, if that has numbers.
const PLOTS: [(&str, &str, &str, Option<&str>); 5] = [
    ("throughput", "throughput", "Share of the ceiling's throughput", None),
    ("workers", "workers", "echo -k, one slave: M records/s by workers", Some("workers")),
    ("slaves", "slaves", "echo -k, one worker each: M records/s by slaves", Some("slaves")),
    ("latency", "latency", "One record there and back, µs", None),
    ("peers", "peers", "Thousands of records a second (logarithmic)", None),
];

/// Draws every plot for which there are findings.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn draw_all(findings: &Findings, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, series, title, across) in PLOTS {
        let found = findings.of(series);
        if found.is_empty() {
            continue;
        }
        let path = directory.join(format!("{name}.svg"));
        let drawn = match across {
            Some(across) => lines(&path, &found, title, across),
            None => bars(&path, &found, title, series == "peers"),
        };
        drawn.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    }
    Ok(())
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Figures over a number that doubles again and again.
fn lines(path: &Path, found: &[&Finding], title: &str, across: &str) -> Drawn {
    let points: Vec<_> =
        found.iter().filter_map(|finding| Some((finding.at?.log2(), finding.median()))).collect();
    let (last, most) = points.iter().fold((1.0, 0.0), |(x, y), point| (point.0.max(x), point.1.max(y)));
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..f64::max(last, 1.0), 0.0..most * 1.15)?;
    chart
        .configure_mesh()
        .x_desc(across)
        .x_label_formatter(&|log| format!("{:.0}", log.exp2()))
        .label_style(FONT)
        .draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), COLOUR.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, COLOUR.filled())))?;
    root.present()?;
    Ok(())
}

/// A bar for each figure: its ratio if it has one, otherwise its median.
fn bars(path: &Path, found: &[&Finding], title: &str, logarithmic: bool) -> Drawn {
    let figure = |finding: &Finding| {
        let figure = if logarithmic { None } else { finding.ratio() };
        figure.unwrap_or_else(|| finding.median())
    };
    let length =
        |finding: &Finding| if logarithmic { figure(finding).max(1e-3).log10() } else { figure(finding) };
    let longest = found.iter().map(|finding| length(finding)).fold(0.0, f64::max);
    let least =
        if logarithmic { found.iter().map(|finding| length(finding)).fold(0.0, f64::min) } else { 0.0 };
    let (height, left) = (34, 330);
    let size = (SIZE.0, 50 + height * found.len() as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title.to_owned(), (12, 12), ("sans-serif", 18)))?;
    for (at, finding) in found.iter().enumerate() {
        let top = 46 + (at as u32 * height) as i32;
        let share = (length(finding) - least) / (longest - least).max(f64::MIN_POSITIVE);
        let right = left + (share * f64::from(SIZE.0 as i32 - left - 90)) as i32;
        root.draw(&Text::new(finding.name.replace('`', ""), (12, top + 4), FONT))?;
        root.draw(&Rectangle::new([(left, top), (right.max(left + 1), top + 22)], COLOUR.filled()))?;
        root.draw(&Text::new(label(figure(finding)), (right.max(left) + 6, top + 4), FONT))?;
    }
    root.present()?;
    Ok(())
}

fn label(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}
