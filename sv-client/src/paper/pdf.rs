//! The page as a document of PDF 1.4, with three of the fonts that every reader has.
//! Made by hand: it is one page of text and rectangles, and a library would leave
//! unwiped copies of it.

use super::{
    Out,
    layout::{Font, HEIGHT, Page, WIDTH},
};

/// Points in a millimetre.
const MM: f64 = 72.0 / 25.4;
/// The width of a character of Courier, in its size.
const COURIER: f64 = 0.6;
/// The objects in their order, by number: catalogue, pages, page, content, three fonts,
/// the content's length, information.
const OBJECTS: usize = 9;

pub fn document(page: &Page, out: &mut Out) {
    let mut places = Vec::with_capacity(OBJECTS);
    // The four bytes tell programs that this is not plain text.
    out.text("%PDF-1.4\n%");
    for _ in 0..4 {
        out.byte(0xe2);
    }
    out.text("\n");
    let mut object = |out: &mut Out| {
        places.push(out.length());
        out.format(format_args!("{} 0 obj\n", places.len()));
    };
    object(out);
    out.text("<< /Type /Catalog /Pages 2 0 R /Lang (en) >>\nendobj\n");
    object(out);
    out.text("<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n");
    object(out);
    out.format(format_args!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {:.2} {:.2}] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R /F2 6 0 R /F3 7 0 R >> >> >>\nendobj\n",
        WIDTH * MM,
        HEIGHT * MM
    ));
    object(out);
    out.text("<< /Length 8 0 R >>\nstream\n");
    let start = out.length();
    content(page, out);
    let length = out.length() - start;
    out.text("endstream\nendobj\n");
    for font in ["Helvetica", "Helvetica-Bold", "Courier"] {
        object(out);
        out.format(format_args!(
            "<< /Type /Font /Subtype /Type1 /BaseFont /{font} /Encoding /WinAnsiEncoding >>\n\
             endobj\n"
        ));
    }
    object(out);
    out.format(format_args!("{length}\nendobj\n"));
    object(out);
    out.text("<< /Title ");
    string(&page.title, out);
    out.text(" >>\nendobj\n");
    let table = out.length();
    let count = places.len() + 1;
    out.format(format_args!("xref\n0 {count}\n0000000000 65535 f \n"));
    for place in places {
        out.format(format_args!("{place:010} 00000 n \n"));
    }
    out.format(format_args!(
        "trailer\n<< /Size {count} /Root 1 0 R /Info 9 0 R >>\nstartxref\n{table}\n%%EOF\n"
    ));
}

fn content(page: &Page, out: &mut Out) {
    let rectangle = |out: &mut Out, x: f64, y: f64, width: f64, height: f64| {
        out.format(format_args!(
            "{:.3} {:.3} {:.3} {:.3} re\n",
            x * MM,
            (HEIGHT - y - height) * MM,
            width * MM,
            height * MM
        ));
    };
    for (x, y, width) in &page.rules {
        rectangle(out, *x, *y, *width, 0.2);
    }
    let (left, top, module) = page.code_at;
    for (x, y, length) in page.code.runs.iter() {
        let (x, y) = (left + f64::from(*x) * module, top + f64::from(*y) * module);
        rectangle(out, x, y, f64::from(*length) * module, module);
    }
    out.text("f\nBT\n");
    for text in &page.texts {
        let font = match text.font {
            Font::Plain => 1,
            Font::Bold => 2,
            Font::Mono => 3,
        };
        let width = text.text.chars().count() as f64 * COURIER * text.size;
        let back = if text.right { width } else { 0.0 };
        out.format(format_args!(
            "/F{font} {:.1} Tf 1 0 0 1 {:.2} {:.2} Tm ",
            text.size,
            text.x * MM - back,
            (HEIGHT - text.y) * MM
        ));
        string(&text.text, out);
        out.text(" Tj\n");
    }
    out.text("ET\n");
}

/// A string of PDF in WinAnsi. The fonts have no more than that.
fn string(text: &str, out: &mut Out) {
    out.byte(b'(');
    for c in text.chars() {
        match c {
            '(' | ')' | '\\' => {
                out.byte(b'\\');
                out.byte(c as u8);
            }
            ' '..='~' | '\u{a0}'..='\u{ff}' => out.byte(u32::from(c) as u8),
            '€' => out.byte(0x80),
            '…' => out.byte(0x85),
            '‘' => out.byte(0x91),
            '’' => out.byte(0x92),
            '“' => out.byte(0x93),
            '”' => out.byte(0x94),
            '–' => out.byte(0x96),
            '—' => out.byte(0x97),
            _ => out.byte(b'?'),
        }
    }
    out.byte(b')');
}
