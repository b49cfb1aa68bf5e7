//! The picture of a trend, as PNG: the ranges of the row as bands, its goal as a dashed line, the value as a line.
//!
//! It stands inline in the mail and shows without fetching anything. No letters are in it: what it says in words, with every
//! figure, stands beside it and is its alternative text ([`super::around`]). The bands differ in lightness as in hue, and the
//! critical one is hatched, so that they are told apart without seeing colours, and on paper. Pure, and drawn before any
//! connection is opened.

use crate::domain::{Millis, Timestamp};
use crate::indicators::Unit;
use crate::matrix::engine::Trend;
use crate::matrix::{Edge, Level, Row};

/// Twice the size in which it is shown, for dense screens.
pub const WIDTH: usize = 720;
pub const HEIGHT: usize = 200;

/// Half the breadth of the line, and the radius of the dot at its end.
const LINE: f64 = 2.5;
const DOT: f64 = 8.0;
/// What stays free beside the line, so that its end is not cut off.
const MARGIN: f64 = 10.0;
/// How much room the line leaves above and below, as a share of the height.
const AIR: f64 = 0.08;

type Rgb = [u8; 3];

/// Ground of ok, info, warning and critical, each darker than the one before; the hatching; the line of the goal.
const GROUNDS: [Rgb; 6] =
    [[238, 246, 240], [207, 226, 246], [255, 219, 140], [240, 154, 146], [224, 120, 112], [27, 110, 56]];
const HATCH: u8 = 4;
const GOAL: u8 = 5;
const INK: Rgb = [22, 24, 29];
/// Steps from a ground to the ink: the rim of the line.
const SHADES: u8 = 4;

fn index(level: Level) -> u8 {
    match level {
        Level::Ok => 0,
        Level::Info => 1,
        Level::Warning => 2,
        Level::Critical => 3,
    }
}

/// Whether there is enough to see a trend.
pub fn can_draw(Trend(points): &Trend) -> bool {
    let length = points.first().zip(points.last()).map(|(first, last)| last.0 - first.0);
    length.is_some_and(|length| length > Millis::ZERO)
        && points.iter().filter(|(_, value)| value.is_some()).count() >= 3
}

/// The picture; `None` if [`can_draw`] says no.
pub fn draw(trend: &Trend, row: &Row) -> Option<Vec<u8>> {
    let Trend(points) = trend;
    let (first, last) = (points.first()?.0, points.last()?.0);
    if !can_draw(trend) {
        return None;
    }
    let known = points.iter().filter_map(|(_, value)| *value);
    let goals = [row.goal.low, row.goal.high].into_iter().flatten().map(|Edge { at, .. }| at);
    let scale = Scale::of(known.chain(goals.clone()), row.indicator.unit);
    let mut canvas = Canvas::of_bands(row, &scale);
    goals.for_each(|at| canvas.goal(scale.y(at)));

    let length = (last - first).0 as f64;
    let x = |time: Timestamp| MARGIN + (time - first).0 as f64 / length * (WIDTH as f64 - 2.0 * MARGIN);
    let at = |(time, value): &(_, Option<f64>)| value.map(|value| (x(*time), scale.y(value)));
    let mut before = None;
    for (number, point) in points.iter().map(at).enumerate() {
        if let Some(here) = point {
            canvas.stroke(before.unwrap_or(here), here, LINE);
            if number + 1 == points.len() {
                canvas.stroke(here, here, DOT);
            }
        }
        before = point;
    }
    canvas.png()
}

/// Values on the height of the picture.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, unit: Unit) -> Scale {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        // Lengths of time and counts are compared with nothing; ratios are not.
        let low = if unit != Unit::Ratio && low >= 0.0 { 0.0 } else { low };
        let spread = if high > low { high - low } else { high.abs().max(1.0) };
        let (under, over) = (low - spread * AIR, high + spread * AIR);
        Scale { low: if low >= 0.0 { under.max(-spread * AIR / 2.0) } else { under }, high: over }
    }

    fn y(&self, value: f64) -> f64 {
        (self.high - value) / (self.high - self.low) * HEIGHT as f64
    }

    fn value(&self, y: f64) -> f64 {
        self.high - y / HEIGHT as f64 * (self.high - self.low)
    }
}

/// Each pixel is its ground's number times [`SHADES`], and how much ink is on it.
struct Canvas(Vec<u8>);

impl Canvas {
    fn of_bands(row: &Row, scale: &Scale) -> Canvas {
        let mut pixels = Vec::with_capacity(WIDTH * HEIGHT);
        for y in 0..HEIGHT {
            let level = row.range_of(scale.value(y as f64 + 0.5)).map_or(Level::Ok, |range| row.level_of(range));
            let hatched = |x: usize| level == Level::Critical && (x + y) % 16 < 3;
            pixels.extend((0..WIDTH).map(|x| SHADES * if hatched(x) { HATCH } else { index(level) }));
        }
        Canvas(pixels)
    }

    fn goal(&mut self, at: f64) {
        let top = (at - 1.5).round().clamp(0.0, HEIGHT as f64 - 3.0) as usize;
        for pixels in self.0.chunks_exact_mut(WIDTH).skip(top).take(3) {
            let dashed = pixels.iter_mut().enumerate().filter(|(x, _)| x % 24 < 15);
            dashed.for_each(|(_, pixel)| *pixel = SHADES * GOAL);
        }
    }

    /// A line with round ends from one point to the other.
    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), radius: f64) {
        let span = |a: f64, b: f64, most: usize| {
            let low = (a.min(b) - radius - 1.0).max(0.0) as usize;
            low..((a.max(b) + radius + 2.0).max(0.0) as usize).min(most)
        };
        let (along, across) = (to.0 - from.0, to.1 - from.1);
        let square = along * along + across * across;
        let columns = span(from.0, to.0, WIDTH);
        for y in span(from.1, to.1, HEIGHT) {
            let row = self.0.get_mut(y * WIDTH..(y + 1) * WIDTH).unwrap_or_default();
            for (x, pixel) in row.iter_mut().enumerate().take(columns.end).skip(columns.start) {
                let (dx, dy) = (x as f64 + 0.5 - from.0, y as f64 + 0.5 - from.1);
                let share = if square > 0.0 { ((dx * along + dy * across) / square).clamp(0.0, 1.0) } else { 0.0 };
                let distance = (dx - share * along).hypot(dy - share * across);
                let ink = ((radius + 0.5 - distance).clamp(0.0, 1.0) * f64::from(SHADES - 1)).round() as u8;
                *pixel = *pixel - *pixel % SHADES + ink.max(*pixel % SHADES);
            }
        }
    }

    fn png(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(8 << 10);
        let mut encoder = png::Encoder::new(&mut out, WIDTH as u32, HEIGHT as u32);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette());
        encoder.set_compression(png::Compression::Balanced);
        encoder.set_filter(png::Filter::NoFilter);
        // Writing into memory cannot fail, and the pixels are as many as was said.
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.0).ok()?;
        writer.finish().ok()?;
        Some(out)
    }
}

fn palette() -> Vec<u8> {
    let shade = |ground: Rgb, ink: u8| {
        let mixed = |(from, to): (u8, u8)| {
            let (ink, all) = (u32::from(ink), u32::from(SHADES - 1));
            ((u32::from(from) * (all - ink) + u32::from(to) * ink) / all) as u8
        };
        ground.into_iter().zip(INK).map(mixed).collect::<Vec<u8>>()
    };
    GROUNDS.into_iter().flat_map(|ground| (0..SHADES).flat_map(move |ink| shade(ground, ink))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Language;
    use crate::notice::samples::{matrix, rising};

    /// Colour of each pixel.
    fn read(bytes: &[u8]) -> (Vec<Rgb>, usize, usize) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (
            pixels.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect(),
            info.width as usize,
            info.height as usize,
        )
    }

    #[test]
    fn the_picture_has_the_bands_that_the_value_crossed() {
        let row = &matrix(Language::Es, "").rows[0];
        let bytes = draw(&rising(), row).unwrap();
        let (pixels, width, height) = read(&bytes);
        assert_eq!((width, height), (WIDTH, HEIGHT));
        assert!(bytes.len() < 4 << 10, "{} bytes", bytes.len());
        let column = |x: usize| (0..height).map(|y| pixels[y * width + x]).collect::<Vec<_>>();
        // The bands from top to bottom, where neither line nor goal is.
        let mut seen = column(4).to_vec();
        seen.retain(|colour| *colour != GROUNDS[HATCH as usize] && *colour != GROUNDS[GOAL as usize]);
        seen.dedup();
        assert_eq!(seen, [Level::Critical, Level::Warning, Level::Ok].map(|level| GROUNDS[index(level) as usize]));
        // The line ends higher than it began, and is broken where there was no value.
        let ink = |x: usize| column(x).iter().position(|colour| *colour == INK);
        let drawn: Vec<usize> = (0..width).filter(|x| ink(*x).is_some()).collect();
        let (first, last) = (drawn[0], drawn[drawn.len() - 1]);
        assert!(ink(last) < ink(first), "{:?} {:?}", ink(first), ink(last));
        let gap = drawn.windows(2).map(|two| two[1] - two[0]).max();
        assert!(gap.is_some_and(|gap| gap > WIDTH / 60), "{gap:?}");
    }

    #[test]
    fn it_draws_whatever_comes_and_nothing_where_there_is_too_little() {
        let row = &matrix(Language::Es, "").rows[0];
        let Trend(points) = rising();
        let with = |value: f64| Trend(points.iter().map(|(time, _)| (*time, Some(value))).collect());
        for value in [0.0, 1800.0, 1e15, -5.0, f64::from(f32::MAX)] {
            let (pixels, ..) = read(&draw(&with(value), row).unwrap());
            assert_eq!(pixels.len(), WIDTH * HEIGHT, "{value}");
            assert!(pixels.contains(&INK), "{value} is not drawn");
        }
        assert_eq!(draw(&Trend(Vec::new()), row), None);
        assert_eq!(draw(&Trend(points.iter().map(|(time, _)| (*time, None)).collect()), row), None);
    }
}
