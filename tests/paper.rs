//! The printed sheets, read back by programs that know nothing of this one: poppler
//! and librsvg draw them, zbar reads the code, poppler reads the text.

use std::{fs, path::Path, process::Command};
use sv_client::paper::{Format, Sheet};
use sv_shares::{Header, Parsed, Share, deal};
use tempfile::TempDir;

/// Dots per inch that the sheets are drawn with: those of a poor scanner.
const DPI: &str = "150";
const NAME: &str = "Zoë's <vault> & \"co\" (2)";

fn share(seed: u8) -> Share {
    let header = Header {
        vault: [seed; 16],
        set: [seed ^ 0x5a; 16],
        threshold: 3,
        count: 5,
        epoch: 7,
    };
    deal(&[seed; 32], &header).unwrap().remove(1)
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn made(format: Format, share: &Share) -> Vec<u8> {
    let header = share.header();
    let sheet = Sheet {
        vault_name: NAME,
        vault: &hex(&header.vault),
        set: &hex(&header.set),
        index: share.index(),
        count: header.count,
        threshold: header.threshold,
        date: "2027-03-04",
        words: &share.to_words(),
        line: &share.to_text(),
    };
    sv_client::paper::sheet(format, &sheet).unwrap().to_vec()
}

fn run(program: &str, arguments: &[&str], dir: &Path) -> String {
    let out = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap_or_else(|e| panic!("{program} is needed, tests/run installs it: {e}"));
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {arguments:?}: {err}");
    String::from_utf8(out.stdout).unwrap()
}

/// Draws a sheet into `page.png`.
fn draw(format: Format, file: &[u8], dir: &Path) {
    match format {
        Format::Pdf => {
            fs::write(dir.join("page.pdf"), file).unwrap();
            let arguments = ["-r", DPI, "-png", "-singlefile", "page.pdf", "page"];
            run("pdftoppm", &arguments, dir);
        }
        Format::Svg | Format::Html => {
            let text = std::str::from_utf8(file).unwrap();
            let from = text.find("<svg").unwrap();
            let to = text.find("</svg>").unwrap() + 6;
            fs::write(dir.join("page.svg"), &text[from..to]).unwrap();
            let size = ["-d", DPI, "-p", DPI];
            let files = ["-f", "png", "-o", "page.png", "page.svg"];
            run("rsvg-convert", &[&size[..], &files].concat(), dir);
        }
    }
}

#[test]
fn the_code_on_every_sheet_is_read_by_another_program() {
    for format in [Format::Html, Format::Svg, Format::Pdf] {
        for seed in [0, 1, 0xff] {
            let dir = TempDir::new().unwrap();
            let share = share(seed);
            draw(format, &made(format, &share), dir.path());
            let read = run("zbarimg", &["-q", "--raw", "page.png"], dir.path());
            assert_eq!(read.trim_end(), share.to_text().to_uppercase());
            let Parsed::Share(back) = Share::parse(read.as_bytes()).unwrap() else {
                panic!("a line is a line");
            };
            assert_eq!(back.expose(), share.expose(), "{format:?}");
            assert_eq!((back.header(), back.index()), (share.header(), 2));
        }
    }
}

/// The text of an HTML or SVG file: what stands outside of tags.
fn text_of(markup: &str) -> String {
    let mut out = String::new();
    for piece in markup.split('<').skip(1) {
        out.push_str(piece.split_once('>').unwrap().1);
        out.push(' ');
    }
    out.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[test]
fn every_sheet_says_all_that_is_needed() {
    let share = share(0x42);
    let header = share.header();
    for format in [Format::Html, Format::Svg, Format::Pdf] {
        let dir = TempDir::new().unwrap();
        let file = made(format, &share);
        let text = match format {
            Format::Pdf => {
                fs::write(dir.path().join("page.pdf"), &file).unwrap();
                run("pdftotext", &["-layout", "page.pdf", "-"], dir.path())
            }
            _ => text_of(std::str::from_utf8(&file).unwrap()),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        for wanted in [
            NAME,
            &hex(&header.vault),
            &hex(&header.set),
            "Recovery share 2 of 5",
            "Any 3 of the 5 shares",
            "2027-03-04",
            "sv recover",
            "sv distribute",
            "Never photograph",
        ] {
            assert!(text.contains(wanted), "{format:?}: {wanted} in {text}");
        }
        // Each word beside its number; each group of the line.
        for (at, word) in share.to_words().split(' ').enumerate() {
            let pair = [(at + 1).to_string(), word.to_owned()];
            assert!(words.windows(2).any(|w| w == pair), "{format:?}: {pair:?}");
        }
        for group in share.to_text().as_bytes().chunks(5) {
            let group = std::str::from_utf8(group).unwrap();
            assert!(words.contains(&group), "{format:?}: {group}");
        }
    }
}

#[test]
fn a_sheet_is_one_page_of_a4() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("page.pdf"), made(Format::Pdf, &share(3))).unwrap();
    let info = run("pdfinfo", &["page.pdf"], dir.path());
    let line = |key: &str| {
        let line = info.lines().find(|l| l.starts_with(key));
        line.unwrap_or_else(|| panic!("{key} in {info}")).to_owned()
    };
    assert!(line("Pages:").ends_with(" 1"), "{info}");
    assert!(line("Page size:").contains("(A4)"), "{info}");
    assert!(line("Title:").contains("Recovery share 2 of 5"), "{info}");
    assert!(line("JavaScript:").ends_with("no"), "{info}");
}

#[test]
fn a_long_share_fits_as_well() {
    // The longest that there is has 80 bytes.
    let header = *share(4).header();
    let share = Share::new(header, 5, &[0xc3; 80]).unwrap();
    let dir = TempDir::new().unwrap();
    draw(Format::Pdf, &made(Format::Pdf, &share), dir.path());
    let read = run("zbarimg", &["-q", "--raw", "page.png"], dir.path());
    assert_eq!(read.trim_end(), share.to_text().to_uppercase());
    let text = run("pdftotext", &["-layout", "page.pdf", "-"], dir.path());
    for word in share
        .to_words()
        .split(' ')
        .chain(["Holder", "sv distribute"])
    {
        assert!(text.contains(word), "{word} is on the page");
    }
}
