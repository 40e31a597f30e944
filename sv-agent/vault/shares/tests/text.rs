//! What is written down: lines and words, and every mistake in them.

mod common;

use common::{Random, header, set};
use sv_shares::{Error, Header, Parsed, Share, bare, deal, keys, pieces, release};

fn share(parsed: Parsed) -> Share {
    match parsed {
        Parsed::Share(share) => share,
        Parsed::Words(words) => panic!("{words:?}"),
    }
}

fn same(a: &Share, b: &Share) -> bool {
    (a.header(), a.index(), a.expose()) == (b.header(), b.index(), b.expose())
}

fn one(seed: u64) -> Share {
    set(&mut Random(seed), 3, 5).1.remove(1)
}

fn error(text: &[u8]) -> Error {
    Share::parse(text).unwrap_err()
}

/// The vectors of `SHARES.md`, which another program made from its text.
#[test]
fn lines_and_words_are_what_the_format_says() {
    let header = Header {
        vault: *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
        set: [0xa5; 16],
        threshold: 3,
        count: 5,
        epoch: 0x0102_0304,
    };
    let secret: Vec<u8> = (0x20..0x40).collect();
    let share = Share::new(header, 2, &secret).unwrap();
    assert_eq!(
        share.to_text().as_str(),
        "svshare1qyqqzqsrqszsvpcgpy9qkrqdpc86tfd95kj6tfd95kj6tfd95kj62qsrq5zqxqspyqszzg3rysjj\
         vfeg9y4zktpd9chnqvfjxv6r2d3h8qun5weu85lr7h8qc4yq3fzdmjqgflfh3tw"
    );
    assert_eq!(
        share.to_words().as_str(),
        "cactus accuse coffee harvest energy cage little letter cattle case cancel end exact \
         little never protect mad comfort kangaroo arrange good crew box sugar train decrease \
         spike someone kidney token oyster steak either"
    );
}

#[test]
fn lines_survive_spaces_case_and_comments() {
    let share = one(1);
    let line = share.to_text();
    assert_eq!(line.len(), 147);
    let grouped: Vec<u8> = line
        .as_bytes()
        .chunks(5)
        .flat_map(|group| [group, b" "].concat())
        .collect();
    let wrapped: Vec<u8> = line
        .as_bytes()
        .chunks(40)
        .flat_map(|group| [b"  ", group, b"\r\n"].concat())
        .collect();
    for text in [
        line.as_bytes().to_vec(),
        line.to_uppercase().into_bytes(),
        format!("\n\t {}\r\n\n", *line).into_bytes(),
        format!("# share 2 of 5\n{}\n# keep it\n", *line).into_bytes(),
        grouped,
        wrapped,
    ] {
        assert!(same(&self::share(Share::parse(&text).unwrap()), &share));
    }
    assert_eq!(
        error(line.replacen('e', "E", 1).as_bytes()),
        Error::Typo { position: Some(7) }
    );
}

#[test]
fn every_wrong_character_is_refused_and_named() {
    let text = one(2).to_text();
    let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7lbio1?A \xc3";
    for at in 0..text.len() {
        for with in alphabet {
            let mut bad = text.as_bytes().to_vec();
            if bad[at] == *with || *with == b' ' {
                continue;
            }
            bad[at] = *with;
            let position = Some(at + 1);
            assert_eq!(error(&bad), Error::Typo { position }, "{at} {with}");
        }
        for bit in 0..8 {
            let mut bad = text.as_bytes().to_vec();
            bad[at] ^= 1 << bit;
            // A bit makes a character an upper-case one, a space or a line break too.
            assert!(error(&bad).is_damage(), "{at} {bit}");
        }
    }
    // In upper case too.
    let upper = text.to_uppercase();
    let mut bad = upper.clone().into_bytes();
    for at in 0..bad.len() {
        let kept = bad[at];
        bad[at] = if kept == b'Q' { b'P' } else { b'Q' };
        let position = Some(at + 1);
        assert_eq!(error(&bad), Error::Typo { position });
        bad[at] = kept;
    }
}

#[test]
fn every_truncation_and_every_slip_is_refused() {
    let share = one(3);
    let text = share.to_text();
    let bytes = text.as_bytes();
    for length in 0..bytes.len() {
        let expected = match length {
            0 => Error::NotAShare,
            _ => Error::Truncated,
        };
        assert_eq!(error(&bytes[..length]), expected, "{length}");
        if length > 0 {
            assert!(error(&bytes[length..]).is_damage(), "from {length}");
        }
    }
    for at in 0..bytes.len() {
        let (before, after) = bytes.split_at(at);
        // Left out, typed twice, and changed places.
        assert!(error(&[before, &after[1..]].concat()).is_damage(), "{at}");
        let double = [before, &after[..1], after].concat();
        assert!(error(&double).is_damage(), "{at}");
        if at + 1 < bytes.len() && bytes[at] != bytes[at + 1] {
            let mut swapped = bytes.to_vec();
            swapped.swap(at, at + 1);
            let position = Some(at + 1);
            assert_eq!(error(&swapped), Error::Typo { position }, "{at}");
        }
    }
    // Two shares in one.
    assert!(error(&[bytes, bytes].concat()).is_damage());
}

#[test]
fn many_wrong_characters_are_refused() {
    let mut random = Random(4);
    let text = one(4).to_text();
    let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    for round in 0..3_000 {
        let mut bad = text.as_bytes().to_vec();
        for _ in 0..random.within(1, 20) {
            let at = random.within(8, bad.len() - 1);
            bad[at] = alphabet[random.within(0, 31)];
        }
        if bad != text.as_bytes() {
            assert!(error(&bad).is_damage(), "round {round}");
        }
    }
}

#[test]
fn other_things_are_not_shares() {
    let long = vec![b'q'; 5000];
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----";
    for text in [
        &b""[..],
        b" \n",
        b"#svshare1",
        b"hello",
        b"svvault1qqqqqqqqqq",
        b"1:pMDXjXlgFMZ4WFILqyYzYmRHyNxlCceYnmN0lDLA3MU=",
        b"\xff\xfe\0\0",
        b"the quick brown fox jumps over the lazy dog and runs away from all of them",
        key.as_bytes(),
        &long,
    ] {
        assert_eq!(error(text), Error::NotAShare, "{text:?}");
    }
}

#[test]
fn a_later_version_says_so() {
    // Version 2 of the same length, with its checksum in order.
    let text = "svshare1qgqqzqsrqszsvpcgpy9qkrqdpc86tfd95kj6tfd95kj6tfd95kj62qsrq5zqxqspyqszzg3rys\
                jjvfeg9y4zktpd9chnqvfjxv6r2d3h8qun5weu85lrlvc2436q7u0g7kwaggp4vep";
    assert_eq!(error(text.as_bytes()), Error::Version(2));
    assert!(!Error::Version(2).is_damage());
}

fn words(share: &Share) -> Vec<String> {
    share.to_words().split(' ').map(str::to_owned).collect()
}

fn from_words(words: &[String], header: &Header) -> Result<Share, Error> {
    match Share::parse(words.join(" ").as_bytes())? {
        Parsed::Words(words) => words.complete(header),
        Parsed::Share(share) => panic!("{share:?}"),
    }
}

#[test]
fn words_come_back_in_any_layout() {
    let share = one(5);
    let list = words(&share);
    assert_eq!(list.len(), 33);
    let numbered: String = list
        .iter()
        .enumerate()
        .map(|(at, word)| format!("{}. {}{}", at + 1, word.to_uppercase(), [" ", "\n"][at % 2]))
        .collect();
    for text in [list.join(" "), list.join("\n"), list.join(", "), numbered] {
        let Parsed::Words(parsed) = Share::parse(text.as_bytes()).unwrap() else {
            panic!("words are words");
        };
        assert_eq!(
            (parsed.index(), parsed.threshold(), parsed.count()),
            (2, 3, 5)
        );
        assert!(same(&parsed.complete(share.header()).unwrap(), &share));
    }
}

#[test]
fn words_of_every_length() {
    let mut random = Random(6);
    for length in 16..=64 {
        let key = random.bytes(length);
        let header = header(&mut random, 2, 2);
        for share in deal(&key, &header).unwrap() {
            let back = from_words(&words(&share), &header).unwrap();
            assert!(same(&back, &share), "{length}");
        }
        for share in keys::split(&key, 2, 2).unwrap() {
            let back = from_words(&words(&share), share.header()).unwrap();
            assert!(same(&back, &share), "{length}");
        }
    }
}

#[test]
fn words_of_another_set_or_vault_do_not_fit() {
    let share = one(7);
    let list = words(&share);
    let good = *share.header();
    let mut other = good;
    other.vault[0] ^= 1;
    assert_eq!(from_words(&list, &other).unwrap_err(), Error::OtherVault);
    other = good;
    other.set[3] ^= 1;
    assert_eq!(from_words(&list, &other).unwrap_err(), Error::OtherSet);
    other = Header { count: 6, ..good };
    assert_eq!(from_words(&list, &other).unwrap_err(), Error::OtherSet);
}

#[test]
fn every_wrong_word_is_named() {
    let share = one(8);
    let list = words(&share);
    let header = share.header();
    for at in 0..list.len() {
        let mut bad = list.clone();
        let mut wrong = |word: &str| {
            bad[at] = word.to_owned();
            from_words(&bad, header).unwrap_err()
        };
        let other = if list[at] == "zoo" { "abandon" } else { "zoo" };
        let named = |error: Error| match error {
            Error::Word { position, .. } => position,
            other => panic!("{other}"),
        };
        assert_eq!(named(wrong(other)), at + 1);
        // Not a word of the list: the one that was meant is suggested, and no
        // message says it.
        let error = wrong(&format!("{}x", list[at]));
        assert_eq!(named(error), at + 1);
        assert!(!format!("{error} {error:?}").contains(error.suggestion().unwrap()));
        assert_eq!(named(wrong("ÿ€")), at + 1);
    }
}

#[test]
fn missing_additional_and_random_words_are_refused() {
    let share = one(9);
    let list = words(&share);
    let header = share.header();
    for at in 0..list.len() {
        let mut bad = list.clone();
        bad.remove(at);
        assert_eq!(from_words(&bad, header).unwrap_err(), Error::Truncated);
        bad.insert(at, list[at].clone());
        bad.insert(at, list[at].clone());
        assert!(from_words(&bad, header).unwrap_err().is_damage());
        if at > 0 && list[at] != list[at - 1] {
            bad = list.clone();
            bad.swap(at - 1, at);
            assert!(from_words(&bad, header).unwrap_err().is_damage());
        }
    }
    for length in 11..list.len() {
        let error = from_words(&list[..length], header).unwrap_err();
        assert_eq!(error, Error::Truncated, "{length}");
    }
    let all: Vec<&str> = include_str!("../src/english.txt").lines().collect();
    let mut random = Random(10);
    for round in 0..300 {
        let count = random.within(12, 70);
        let text: Vec<&str> = (0..count).map(|_| all[random.within(0, 2047)]).collect();
        let error = Share::parse(text.join(" ").as_bytes()).unwrap_err();
        assert!(error.is_damage(), "round {round}");
    }
}

#[test]
fn several_shares_are_told_apart() {
    let (_, shares) = set(&mut Random(11), 2, 4);
    let lines: Vec<_> = shares.iter().map(Share::to_text).collect();
    let sheet = words(&shares[3]).join("\n");
    let wrapped = lines[1]
        .as_bytes()
        .chunks(30)
        .map(|c| String::from_utf8(c.to_vec()).unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let input = format!(
        "# one\n{}\n{wrapped}\n\n# three\n{}\n\n{}",
        *lines[0],
        *shares[2].to_words(),
        sheet
    );
    let found: Vec<u8> = pieces(input.as_bytes())
        .iter()
        .map(|piece| Share::parse(piece).unwrap().index())
        .collect();
    assert_eq!(found, [1, 2, 3, 4]);
    let input = format!("{}\n\n{sheet}\n\n\n{}\n", *lines[0], *lines[1]);
    let found: Vec<u8> = pieces(input.as_bytes())
        .iter()
        .map(|piece| Share::parse(piece).unwrap().index())
        .collect();
    assert_eq!(found, [1, 4, 2]);
    let bare = b"1:AAAA\n2:BBBB\r\n\n3:CCCC";
    assert_eq!(pieces(bare).len(), 3);
    let input = format!("{}\nhello\n{wrapped}\n{}\n", *lines[0], "svshbre1qqqq");
    let found = pieces(input.as_bytes());
    assert_eq!(found.len(), 4);
    assert_eq!(found[1], b"hello\n");
    Share::parse(found[2]).unwrap();
    assert_eq!(pieces(b"garbage"), [b"garbage"]);
    assert!(pieces(b"\n# nothing\n\n").is_empty());
}

/// Whatever is read is told as an error: nothing panics, and nothing random is a share.
#[test]
fn no_input_is_too_strange() {
    let mut random = Random(12);
    let ceremony = release::Ceremony::from_seed([1; 16], &[2; 32]);
    let key = ceremony.key_text();
    let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7lQB1:# \n\t\xff\0";
    let beginnings: [&[u8]; 7] = [
        b"",
        b"svshare1",
        b"SVSHARE1",
        b"svsealed1",
        b"svrecover1",
        b"7:",
        b"abandon zoo ",
    ];
    for round in 0..6_000 {
        let mut input = beginnings[random.within(0, 6)].to_vec();
        let characters = [32, alphabet.len()][random.within(0, 1)];
        for _ in 0..random.within(0, [40, 400, 1200][round % 3]) {
            input.push(alphabet[random.within(0, characters - 1)]);
        }
        assert!(Share::parse(&input).is_err(), "round {round}: {input:?}");
        assert!(ceremony.open(&input).is_err(), "round {round}: {input:?}");
        assert!(release::seal(&input, &key).is_err(), "round {round}");
        assert!(release::seal(b"", &String::from_utf8_lossy(&input)).is_err());
        let _ = (bare::parse(&input), release::is_released(&input));
        let all: usize = pieces(&input).iter().map(|piece| piece.len()).sum();
        assert!(all <= input.len());
    }
}
