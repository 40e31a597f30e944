//! The page as a picture, and as a page for a browser: nothing in either is fetched
//! from anywhere, and nothing runs.

use super::{
    Out,
    layout::{Font, HEIGHT, Page, WIDTH},
};

/// Millimetres in a point.
const POINT: f64 = 25.4 / 72.0;
const PLAIN: &str = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
const MONO: &str = "'Courier New', Courier, 'Liberation Mono', 'DejaVu Sans Mono', monospace";

pub fn picture(page: &Page, out: &mut Out) {
    out.text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    drawing(page, out);
}

pub fn html(page: &Page, out: &mut Out) {
    out.text(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>",
    );
    escaped(&page.title, out);
    out.text(
        "</title>\n<style>\n\
         @page { size: A4 portrait; margin: 0 }\n\
         html, body { margin: 0; padding: 0 }\n\
         svg { display: block; width: 210mm; height: 296.9mm }\n\
         @media screen {\n\
         body { background: #888 }\n\
         svg { margin: 8mm auto; background: #fff }\n\
         }\n</style>\n</head>\n<body>\n",
    );
    drawing(page, out);
    out.text("</body>\n</html>\n");
}

fn drawing(page: &Page, out: &mut Out) {
    out.format(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}mm\" height=\"{HEIGHT}mm\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\">\n<title>"
    ));
    escaped(&page.title, out);
    out.format(format_args!(
        "</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    ));
    for (x, y, width) in &page.rules {
        out.format(format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"0.2\"/>\n"
        ));
    }
    let (x, y, module) = page.code_at;
    out.format(format_args!(
        "<path shape-rendering=\"crispEdges\" transform=\"translate({x:.3} {y:.3}) \
         scale({module:.5})\" d=\""
    ));
    for (x, y, length) in page.code.runs.iter() {
        out.format(format_args!("M{x} {y}h{length}v1h-{length}z"));
    }
    out.text("\"/>\n");
    for text in &page.texts {
        let size = text.size * POINT;
        let family = if text.font == Font::Mono { MONO } else { PLAIN };
        out.format(format_args!(
            "<text x=\"{:.2}\" y=\"{:.2}\" font-family=\"{family}\" font-size=\"{size:.3}\"",
            text.x, text.y
        ));
        if text.font == Font::Bold {
            out.text(" font-weight=\"bold\"");
        }
        if text.right {
            out.text(" text-anchor=\"end\"");
        }
        out.text(" xml:space=\"preserve\">");
        escaped(&text.text, out);
        out.text("</text>\n");
    }
    out.text("</svg>\n");
}

fn escaped(text: &str, out: &mut Out) {
    for c in text.chars() {
        match c {
            '&' => out.text("&amp;"),
            '<' => out.text("&lt;"),
            '>' => out.text("&gt;"),
            '"' => out.text("&quot;"),
            '\'' => out.text("&#39;"),
            // No document of XML has these.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                out.byte(b'?');
            }
            c => out.text(c.encode_utf8(&mut [0; 4])),
        }
    }
}
