//! Rows of columns: aligned on a terminal, separated by tabs elsewhere.

use crate::output::Style;

/// The rows that arrived together. Long answers come in pieces and are printed
/// piece by piece, so widths hold within one of them, and never shrink.
pub struct Table {
    terminal: bool,
    style: Style,
    widths: Vec<usize>,
    heading: Option<Vec<&'static str>>,
}

impl Table {
    /// A table whose heading, seen on a terminal only, is `heading`.
    #[must_use]
    pub fn new(heading: &[&'static str], terminal: bool, style: Style) -> Self {
        Self {
            terminal,
            style,
            widths: heading.iter().map(|h| h.len()).collect(),
            heading: Some(heading.to_vec()),
        }
    }

    /// The text of some rows. On a terminal an empty cell is a `-`, and rows
    /// that `alert` says so of are coloured.
    #[must_use]
    pub fn rows(&mut self, rows: &[Vec<String>], alert: impl Fn(usize) -> bool) -> String {
        let mut out = String::new();
        if !self.terminal {
            for row in rows {
                out.push_str(&row.join("\t"));
                out.push('\n');
            }
            return out;
        }
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if let Some(heading) = self.heading.take() {
            let heading: Vec<String> = heading.into_iter().map(str::to_owned).collect();
            out.push_str(&self.style.faint(&self.align(&heading)));
            out.push('\n');
        }
        for (i, row) in rows.iter().enumerate() {
            let line = self.align(row);
            if alert(i) {
                out.push_str(&self.style.alert(&line));
            } else {
                out.push_str(&line);
            }
            out.push('\n');
        }
        out
    }

    fn align(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (width, cell) in self.widths.iter().zip(row) {
            let cell = if cell.is_empty() { "-" } else { cell };
            line.push_str(&format!("{cell:<width$}  "));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Labels and values, one pair a line, the values aligned.
#[must_use]
pub fn pairs(pairs: &[(&str, String)], style: Style) -> String {
    let width = pairs.iter().map(|(l, _)| l.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (label, value) in pairs {
        out.push_str(&style.faint(&format!("{label:<width$}")));
        // Further lines of a value stand under its first.
        let indent = format!("\n{:1$}", "", width + 2);
        out.push_str(&format!("  {}\n", value.replace('\n', &indent)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sv_proto::config::Color;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|c| (*c).to_owned()).collect()
    }

    #[test]
    fn aligned_on_a_terminal_and_tabbed_elsewhere() {
        let style = Style::of_stdout(Color::Never);
        let rows = [row(&["long name", "1", ""]), row(&["ä", "22", "x"])];
        let mut table = Table::new(&["NAME", "REV", "TAGS"], true, style);
        assert_eq!(
            table.rows(&rows, |_| false),
            "NAME       REV  TAGS\nlong name  1    -\nä          22   x\n"
        );
        assert_eq!(
            table.rows(&rows[1..], |_| false),
            "ä          22   x\n",
            "the heading is printed once and widths stay"
        );
        let mut table = Table::new(&["NAME", "REV", "TAGS"], false, style);
        assert_eq!(table.rows(&rows, |_| false), "long name\t1\t\nä\t22\tx\n");
    }

    #[test]
    fn pairs_are_aligned() {
        let style = Style::of_stdout(Color::Never);
        assert_eq!(
            pairs(&[("a", "1".to_owned()), ("long", "2\n3".to_owned())], style),
            "a     1\nlong  2\n      3\n"
        );
    }
}
