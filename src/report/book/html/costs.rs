//! What calls cost, as curves.

use maud::{Markup, html};

use super::super::pieces;
use super::wide;
use crate::report::cost::{Chart, Costs, Curve, Point};

/// Pixels: of all, and around the curves.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 48.0;

pub(super) fn costs(costs: &Costs) -> Markup {
    html! {
        section aria-labelledby="costs" {
            h2 #costs { "Costs" }
            p { (pieces::costs_told(costs)) }
            div.charts { @for chart in &costs.charts {
                figure.chart {
                    figcaption {
                        b { (chart.title) }
                        ul.legend {
                            @for (number, curve) in chart.curves.iter().enumerate() {
                                li {
                                    svg.uc width="34" height="12" aria-hidden="true" {
                                        g class={ "c" (number) } {
                                            line x1="1" y1="6" x2="33" y2="6" {}
                                            (dot(number, 17.0, 6.0))
                                        }
                                    }
                                    (curve.name)
                                }
                            }
                        }
                    }
                    (drawn(chart))
                    details {
                        summary { "The numbers" }
                        (wide(&format!("Numbers of {}", chart.title), &table(chart)))
                    }
                }
            } }
        }
    }
}

/// Where things stand: what is varied doubles from line to line, costs begin
/// at nothing.
struct Scale {
    from: f64,
    to: f64,
    top: f64,
    step: f64,
}

impl Scale {
    fn of(chart: &Chart) -> Scale {
        let points = || chart.curves.iter().flat_map(|curve| &curve.points);
        let logs = || points().map(|point| f64::from(point.at.max(1)).log2());
        let most = points().map(|point| point.times).fold(1.0, f64::max);
        let magnitude = 10f64.powf((most / 5.0).log10().floor());
        let fits = |step: &f64| most <= 5.0 * step;
        let step = [1.0, 2.0, 5.0, 10.0].map(|nice| nice * magnitude).into_iter().find(fits);
        let step = step.unwrap_or(most);
        Scale {
            from: logs().fold(f64::INFINITY, f64::min),
            to: logs().fold(f64::NEG_INFINITY, f64::max),
            top: (most / step).ceil() * step,
            step,
        }
    }

    fn x(&self, at: u32) -> f64 {
        let part = (f64::from(at.max(1)).log2() - self.from) / (self.to - self.from).max(1.0);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, times: f64) -> f64 {
        HEIGHT - BOTTOM - times / self.top * (HEIGHT - TOP - BOTTOM)
    }

    fn lines(&self) -> impl Iterator<Item = f64> {
        let count = (self.top / self.step).round() as u32;
        (0..=count).map(|line| f64::from(line) * self.step)
    }
}

fn drawn(chart: &Chart) -> Markup {
    let scale = Scale::of(chart);
    let told: Vec<String> = chart.curves.iter().map(pieces::curve_told).collect();
    html! {
        svg.uc role="img" aria-label={ (chart.title) ": " (told.join("; ")) }
            width=(WIDTH) height=(HEIGHT) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
            @for line in scale.lines() {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(px(scale.y(line))) y2=(px(scale.y(line))) {}
                text.up x=(LEFT - 8.0) y=(px(scale.y(line) + 4.0)) { (pieces::number(line)) "×" }
            }
            @for at in marks(chart) {
                text.along x=(px(scale.x(at))) y=(HEIGHT - BOTTOM + 20.0) { (at) }
            }
            text.along x=(px((LEFT + WIDTH - RIGHT) / 2.0)) y=(HEIGHT - 8.0) { (chart.across) }
            @for (number, curve) in chart.curves.iter().enumerate() {
                g class={ "c" (number) } {
                    polyline points=(path(&scale, &curve.points)) {}
                    @for point in &curve.points {
                        (dot(number, scale.x(point.at), scale.y(point.times)))
                    }
                }
            }
        }
    }
}

/// A curve's own mark: no colour is needed to tell it.
fn dot(number: usize, x: f64, y: f64) -> Markup {
    html! {
        @if number == 0 {
            circle cx=(px(x)) cy=(px(y)) r="4" {}
        } @else {
            rect x=(px(x - 4.0)) y=(px(y - 4.0)) width="8" height="8" {}
        }
    }
}

fn path(scale: &Scale, points: &[Point]) -> String {
    let place = |point: &Point| format!("{},{}", px(scale.x(point.at)), px(scale.y(point.times)));
    points.iter().map(place).collect::<Vec<_>>().join(" ")
}

fn px(length: f64) -> String {
    format!("{length:.1}")
}

/// Where something was measured.
fn marks(chart: &Chart) -> Vec<u32> {
    let mut all: Vec<u32> =
        chart.curves.iter().flat_map(|curve| &curve.points).map(|point| point.at).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn table(chart: &Chart) -> Markup {
    let cost = |curve: &Curve, at: u32| {
        let found = curve.points.iter().find(|point| point.at == at);
        found.map_or("–".to_owned(), |point| pieces::number(point.times))
    };
    html! {
        table {
            thead {
                tr {
                    th scope="col" { (chart.across) }
                    @for curve in &chart.curves { th scope="col" { (curve.name) } }
                }
            }
            tbody {
                @for at in marks(chart) {
                    tr {
                        th scope="row" { (at) }
                        @for curve in &chart.curves { td { (cost(curve, at)) } }
                    }
                }
            }
        }
    }
}
