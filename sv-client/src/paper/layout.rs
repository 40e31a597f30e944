//! Where everything is on the page. Millimetres from the upper left corner of A4;
//! the text of the share is borrowed, never copied.

use super::{
    Sheet,
    code::{Code, QUIET},
};
use crate::output;
use std::borrow::Cow;

/// The paper.
pub const WIDTH: f64 = 210.0;
/// Its height.
pub const HEIGHT: f64 = 297.0;
const LEFT: f64 = 18.0;
const RIGHT: f64 = WIDTH - LEFT;

/// Characters of a vault's name on one line, and how many lines it may have.
const NAME: (usize, usize) = (44, 2);
/// Characters of a group of the line: as many as are remembered at once.
const GROUP: usize = 5;
/// Groups beside each other.
const GROUPS: usize = 12;

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Font {
    /// Text.
    Plain,
    /// Headings.
    Bold,
    /// What is typed.
    Mono,
}

/// A piece of text.
pub struct Text<'a> {
    /// Its beginning; of a number that is aligned to the right, its end.
    pub x: f64,
    /// The line it stands on.
    pub y: f64,
    /// In points.
    pub size: f64,
    pub font: Font,
    /// Aligned to the right; only [`Font::Mono`].
    pub right: bool,
    pub text: Cow<'a, str>,
}

/// The page.
pub struct Page<'a> {
    pub title: String,
    pub texts: Vec<Text<'a>>,
    /// Horizontal lines: x, y, width.
    pub rules: Vec<(f64, f64, f64)>,
    pub code: &'a Code,
    /// Of the code without its quiet zone: x, y, width of a module.
    pub code_at: (f64, f64, f64),
}

impl<'a> Page<'a> {
    fn put(&mut self, x: f64, y: f64, size: f64, font: Font, text: impl Into<Cow<'a, str>>) {
        self.texts.push(Text {
            x,
            y,
            size,
            font,
            right: false,
            text: text.into(),
        });
    }

    fn number(&mut self, x: f64, y: f64, size: f64, number: usize) {
        self.texts.push(Text {
            x,
            y,
            size,
            font: Font::Mono,
            right: true,
            text: number.to_string().into(),
        });
    }

    fn heading(&mut self, y: f64, text: &'static str) {
        self.put(LEFT, y, 11.0, Font::Bold, text);
        self.rules.push((LEFT, y + 1.8, RIGHT - LEFT));
    }
}

/// Lays the sheet out.
pub fn page<'a>(sheet: &Sheet<'a>, code: &'a Code) -> Page<'a> {
    let (index, count, threshold) = (sheet.index, sheet.count, sheet.threshold);
    // With its quiet zone the code takes 62 mm, which a phone reads at arm's length.
    let side = 62.0;
    let module = side / f64::from(code.size + 2 * QUIET);
    let quiet = f64::from(QUIET) * module;
    let mut page = Page {
        title: format!("Recovery share {index} of {count}"),
        texts: Vec::new(),
        rules: Vec::new(),
        code,
        code_at: (RIGHT - side + quiet, 42.0 + quiet, module),
    };
    let title = page.title.clone();
    page.put(LEFT, 27.0, 22.0, Font::Bold, title);
    let alone = format!(
        "Any {threshold} of the {count} shares open the vault. This one alone opens nothing."
    );
    page.put(LEFT, 35.0, 11.0, Font::Plain, alone);
    page.rules.push((LEFT, 39.0, RIGHT - LEFT));
    facts(&mut page, sheet);
    let y = words(&mut page, sheet.words, 114.0);
    let y = line(&mut page, sheet.line, y + 9.0);
    advice(&mut page, threshold, y + 9.0);
    page
}

fn facts<'a>(page: &mut Page<'a>, sheet: &Sheet<'a>) {
    let mut y = 50.0;
    let mut fact = |label: &'static str, font, lines: Vec<Cow<'a, str>>| {
        page.put(LEFT, y, 8.0, Font::Plain, label);
        for line in lines {
            y += 5.0;
            page.put(LEFT, y, 10.0, font, line);
        }
        y += 6.0;
    };
    fact("Vault", Font::Bold, name(sheet.vault_name));
    fact("Vault id", Font::Mono, vec![sheet.vault.into()]);
    fact("Set", Font::Mono, vec![sheet.set.into()]);
    let share = format!("{} of {}", sheet.index, sheet.count);
    let needed = format!("{share}; {} are needed", sheet.threshold);
    fact("Share", Font::Bold, vec![needed.into()]);
    fact("Made on", Font::Bold, vec![sheet.date.into()]);
}

/// A name that fits, without what would garble it.
fn name<'a>(name: &str) -> Vec<Cow<'a, str>> {
    let escaped = output::escape(name);
    let mut chars = escaped.chars();
    let (width, lines) = NAME;
    let mut out: Vec<String> = Vec::new();
    while out.len() < lines {
        let line: String = chars.by_ref().take(width).collect();
        if line.is_empty() {
            break;
        }
        out.push(line);
    }
    if chars.next().is_some()
        && let Some(last) = out.last_mut()
    {
        last.pop();
        last.push('…');
    }
    out.into_iter().map(Cow::Owned).collect()
}

fn words<'a>(page: &mut Page<'a>, words: &'a str, y: f64) -> f64 {
    page.heading(y, "The share in words");
    let count = words.split_ascii_whitespace().count();
    // A vault's share has 33; what is longer has to be smaller.
    let (columns, height, size) = match count {
        0..=36 => (3, 5.4, 12.0),
        _ => (4, 4.4, 10.0),
    };
    let rows = count.div_ceil(columns);
    for (at, word) in words.split_ascii_whitespace().enumerate() {
        let (column, row) = (at / rows, at % rows);
        let x = LEFT + column as f64 * (RIGHT - LEFT) / columns as f64;
        let y = y + 8.5 + row as f64 * height;
        page.number(x + 6.0, y, size * 0.75, at + 1);
        page.put(x + 9.5, y, size, Font::Mono, word);
    }
    y + 8.5 + rows.saturating_sub(1) as f64 * height
}

fn line<'a>(page: &mut Page<'a>, line: &'a str, y: f64) -> f64 {
    page.heading(y, "The same as a line; the QR code holds it too");
    let mut last = y;
    let mut rest = line;
    for group in 0.. {
        let end = rest.char_indices().nth(GROUP).map_or(rest.len(), |c| c.0);
        let (text, after) = rest.split_at(end);
        if text.is_empty() {
            break;
        }
        let (row, column) = (group / GROUPS, group % GROUPS);
        last = y + 8.0 + row as f64 * 5.2;
        if column == 0 {
            page.number(LEFT + 6.0, last, 7.0, group * GROUP + 1);
        }
        let x = LEFT + 9.5 + column as f64 * 13.6;
        page.put(x, last, 10.0, Font::Mono, text);
        rest = after;
    }
    last
}

fn advice(page: &mut Page<'_>, threshold: u8, y: f64) {
    page.heading(y, "What to do with this sheet");
    let who = match threshold {
        2 => "two".to_owned(),
        3 => "three".to_owned(),
        n => n.to_string(),
    };
    let paragraphs = [
        [
            "Keep it in a safe place, apart from the other shares and from the machine.".into(),
            format!("Whoever has {who} of these sheets and a copy of the vault has every secret in it."),
        ],
        [
            "Never photograph, copy or send it. It is no use to anybody before it is needed, and".into(),
            "nobody needs it to help you: only the program sv ever asks for it.".into(),
        ],
        [
            "To open the vault: have a copy of the vault's file, run  sv recover  and give as many".into(),
            "shares as are needed: words typed, line typed, or code read by a scanner there.".into(),
        ],
        [
            "If it is lost, or somebody has seen it, tell the owner at once, who runs  sv distribute:".into(),
            "that deals new shares, and this set becomes worthless. Then burn this sheet.".into(),
        ],
    ];
    let mut y = y + 2.5;
    for (number, lines) in paragraphs.into_iter().enumerate() {
        y += 5.6;
        page.number(LEFT + 3.0, y, 9.0, number + 1);
        for (at, line) in lines.into_iter().enumerate() {
            y += if at == 0 { 0.0 } else { 4.3 };
            page.put(LEFT + 6.5, y, 9.0, Font::Plain, line);
        }
    }
    for (x, label) in [
        (LEFT, "Owner, to be told"),
        (LEFT + 90.0, "Holder of this sheet"),
    ] {
        page.put(x, HEIGHT - 14.0, 8.0, Font::Plain, label);
        page.rules.push((x + 30.0, HEIGHT - 13.5, 54.0));
    }
}
