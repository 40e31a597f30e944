//! Dealing and combining.

mod common;

use common::{Random, again, header, set, subsets};
use data_encoding::BASE64;
use std::thread;
use sv_shares::{Error, Header, Share, bare, combine, deal, keys};

fn pick(shares: &[Share], which: &[usize]) -> Vec<Share> {
    which.iter().map(|i| again(&shares[*i])).collect()
}

/// 10,000 random keys, each dealt at a random K of N and recovered from a random K
/// of the shares in a random order.
#[test]
fn random_keys_are_recovered_from_random_subsets() {
    const THREADS: u64 = 4;
    const EACH: usize = 2_500;
    let one = |seed: u64| {
        let mut random = Random(seed);
        for round in 0..EACH {
            // The work grows with the square: most sets are as small as those of life.
            let largest = [9, 40, 255][random.within(0, 2)];
            let count = random.within(2, largest);
            let threshold = random.within(2, count);
            let length = random.within(16, 64);
            let key = random.bytes(length);
            let header = header(&mut random, threshold as u8, count as u8);
            let mut shares = deal(&key, &header).unwrap();
            assert!(shares.iter().map(Share::index).eq(1..=header.count));
            random.shuffle(&mut shares);
            shares.truncate(threshold);
            let found = combine(&shares).unwrap();
            assert!(
                *found == key,
                "seed {seed}, round {round}: {threshold} of {count}, {length} bytes"
            );
        }
    };
    thread::scope(|scope| {
        for seed in 0..THREADS {
            scope.spawn(move || one(seed));
        }
    });
}

#[test]
fn every_subset_that_suffices_recovers_and_no_smaller_one() {
    let mut random = Random(1);
    for (threshold, count) in [(2, 3), (3, 5), (5, 9)] {
        let (key, shares) = set(&mut random, threshold, count);
        let (need, all) = (usize::from(threshold), usize::from(count));
        for size in 1..=all {
            for which in subsets(all, size) {
                let result = combine(&pick(&shares, &which));
                if size < need {
                    let error = result.unwrap_err();
                    assert_eq!(error, Error::TooFew { have: size, need });
                } else {
                    assert!(*result.unwrap() == key, "{which:?} of {count}");
                }
            }
        }
        assert!(matches!(combine(&[]), Err(Error::TooFew { have: 0, .. })));
    }
}

#[test]
fn a_share_alone_says_nothing() {
    // The same key dealt twice has nothing in common; and no share is the key.
    let mut random = Random(2);
    let header = header(&mut random, 3, 255);
    let key = random.bytes(32);
    let (one, two) = (deal(&key, &header).unwrap(), deal(&key, &header).unwrap());
    for (a, b) in one.iter().zip(&two) {
        assert_ne!(a.expose(), b.expose());
        assert_ne!(a.expose(), key);
    }
    // Every value of a byte comes up, about as often: 255 shares of 32 bytes.
    let mut seen = [0usize; 256];
    for byte in one.iter().flat_map(|s| s.expose()) {
        seen[usize::from(*byte)] += 1;
    }
    assert!(seen.iter().all(|n| (5..=80).contains(n)), "{seen:?}");
}

#[test]
fn mistakes_are_named_before_the_scheme_is_used() {
    let mut random = Random(3);
    let (_, mut shares) = set(&mut random, 3, 5);
    let (_, others) = set(&mut random, 3, 5);

    let twice = pick(&shares, &[0, 4, 0]);
    assert_eq!(combine(&twice).unwrap_err(), Error::Duplicate { index: 1 });
    let mut mixed = pick(&shares, &[0, 1]);
    let header = Header {
        set: others[0].header().set,
        ..*shares[0].header()
    };
    mixed.push(Share::new(header, 3, others[2].expose()).unwrap());
    assert_eq!(combine(&mixed).unwrap_err(), Error::MixedSets);
    mixed[2] = again(&others[2]);
    assert_eq!(combine(&mixed).unwrap_err(), Error::OtherVault);
    for change in [
        |h: &mut Header| h.threshold = 2,
        |h: &mut Header| h.count = 6,
        |h: &mut Header| h.epoch ^= 1,
    ] {
        let mut header = *shares[2].header();
        change(&mut header);
        let odd = Share::new(header, 3, shares[2].expose()).unwrap();
        let mut mixed = pick(&shares, &[0, 1]);
        mixed.push(odd);
        assert_eq!(combine(&mixed).unwrap_err(), Error::MixedSets);
    }
    let short = Share::new(*shares[0].header(), 3, &shares[2].expose()[..31]).unwrap();
    let mut lengths = pick(&shares, &[0, 1]);
    lengths.push(short);
    assert_eq!(combine(&lengths).unwrap_err(), Error::Lengths);

    // One too many shows that one is wrong.
    let mut wrong = shares[4].expose().to_vec();
    wrong[7] ^= 1;
    shares[4] = Share::new(*shares[4].header(), 5, &wrong).unwrap();
    for which in [&[0, 1, 2, 4][..], &[4, 0, 1, 2], &[0, 1, 2, 3, 4]] {
        let error = combine(&pick(&shares, which)).unwrap_err();
        assert_eq!(error, Error::Inconsistent);
    }
}

#[test]
fn what_no_dealer_makes() {
    let mut random = Random(4);
    let good = header(&mut random, 3, 5);
    let share = |header: Header, index, length| Share::new(header, index, &vec![1; length]);
    assert_eq!(share(good, 0, 32).unwrap_err(), Error::IndexZero);
    assert_eq!(share(good, 6, 32).unwrap_err(), Error::BadHeader);
    assert_eq!(share(good, 5, 15).unwrap_err(), Error::BadHeader);
    assert_eq!(share(good, 5, 81).unwrap_err(), Error::BadHeader);
    share(good, 5, 80).unwrap();
    for (threshold, count) in [(0, 5), (1, 5), (6, 5), (0, 0), (1, 1)] {
        let header = Header {
            threshold,
            count,
            ..good
        };
        assert_eq!(share(header, 1, 32).unwrap_err(), Error::BadHeader);
        assert_eq!(deal(&[1; 32], &header).unwrap_err(), Error::Counts);
        let error = keys::split(&[1; 32], threshold, count).unwrap_err();
        assert_eq!(error, Error::Counts);
    }
    assert_eq!(deal(&[1; 15], &good).unwrap_err(), Error::KeyLength);
    assert_eq!(keys::split(&[1; 15], 2, 3).unwrap_err(), Error::KeyLength);
    assert_eq!(keys::split(&[1; 65], 2, 3).unwrap_err(), Error::KeyLength);
}

#[test]
fn a_set_of_a_key_proves_its_result() {
    for length in [16, 32, 64] {
        let key = Random(5).bytes(length);
        let shares = keys::split(&key, 3, 5).unwrap();
        for which in subsets(5, 3) {
            assert_eq!(*keys::combine(&pick(&shares, &which)).unwrap(), key);
        }
        assert_eq!(
            keys::combine(&pick(&shares, &[0, 1])).unwrap_err(),
            Error::TooFew { have: 2, need: 3 }
        );
        // A changed share with a checksum of its own.
        let mut wrong = shares[1].expose().to_vec();
        wrong[0] ^= 0x80;
        let wrong = Share::new(*shares[1].header(), 2, &wrong).unwrap();
        let bad = [again(&shares[0]), wrong, again(&shares[2])];
        assert_eq!(keys::combine(&bad).unwrap_err(), Error::WrongKey);
        // A swapped index.
        let swapped = Share::new(*shares[1].header(), 4, shares[1].expose()).unwrap();
        let bad = [again(&shares[0]), swapped, again(&shares[2])];
        assert_eq!(keys::combine(&bad).unwrap_err(), Error::WrongKey);
    }
    // The same key has another set id each time: it does not give the key away.
    let key = [7; 32];
    let (one, two) = (keys::split(&key, 2, 2), keys::split(&key, 2, 2));
    assert_ne!(one.unwrap()[0].header().set, two.unwrap()[0].header().set);
    let (_, vault) = set(&mut Random(6), 2, 3);
    assert_eq!(keys::combine(&vault).unwrap_err(), Error::OtherVault);
}

/// Shares that sv 2.x dealt, 3 of 5.
const OLD: [&str; 5] = [
    "1:pMDXjXlgFMZ4WFILqyYzYmRHyNxlCceYnmN0lDLA3MU=",
    "2:gANEd53HxOTMRhUK+RbFuzTIBAOtz+Fq/6IIO26mqHE=",
    "3:89wDKkHBkNXwJAizev3turiaBekZ3wSZa47Hy8whb3g=",
    "4:h+FQ95u35QiuGGakmCa4gQ5LVYsNV+mm2mYAaNd34C0=",
    "5:9D4XqkexsTmSensdG82QgIIZVGG5RwxVTkrPmHXwJyQ=",
];

fn old(which: &[usize]) -> Vec<bare::BareShare> {
    let parsed = which.iter().map(|i| bare::parse(OLD[*i].as_bytes()));
    parsed.collect::<Result<_, _>>().unwrap()
}

/// Multiplication in GF(2^8) over 0x11D, bit by bit.
fn times(a: u8, b: u8) -> u8 {
    let (mut a, mut sum) = (a, 0);
    for bit in 0..8 {
        sum ^= if b >> bit & 1 == 1 { a } else { 0 };
        a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d };
    }
    sum
}

fn inverse(a: u8) -> u8 {
    (1..=255).find(|b| times(a, *b) == 1).unwrap()
}

/// Lagrange's formula at 0, written down once more.
fn lagrange(points: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; points[0].1.len()];
    for (i, (x, value)) in points.iter().enumerate() {
        let mut factor = 1;
        for (j, (other, _)) in points.iter().enumerate() {
            if i != j {
                factor = times(factor, times(*other, inverse(other ^ x)));
            }
        }
        for (sum, byte) in out.iter_mut().zip(*value) {
            *sum ^= times(factor, *byte);
        }
    }
    out
}

#[test]
fn the_shares_of_sv_2_combine() {
    let key = bare::combine(&old(&[0, 1, 2]), Some(3)).unwrap();
    assert_eq!(key.len(), 32);
    for which in subsets(5, 3) {
        let shares = old(&which);
        assert_eq!(*bare::combine(&shares, Some(3)).unwrap(), *key, "{which:?}");
        assert_eq!(*bare::combine(&shares, None).unwrap(), *key, "{which:?}");
        let points: Vec<_> = shares.iter().map(|s| (s.index(), s.expose())).collect();
        assert_eq!(lagrange(&points), *key, "{which:?}");
    }
    for which in subsets(5, 4) {
        assert_eq!(*bare::combine(&old(&which), Some(3)).unwrap(), *key);
        assert_eq!(*bare::combine(&old(&which), None).unwrap(), *key);
    }
    // Two give something else, and only the threshold tells.
    for which in subsets(5, 2) {
        let too_few = Error::TooFew { have: 2, need: 3 };
        assert_eq!(bare::combine(&old(&which), Some(3)).unwrap_err(), too_few);
        assert_ne!(*bare::combine(&old(&which), None).unwrap(), *key);
    }
    // With four, a threshold of 2 can't be right.
    let error = bare::combine(&old(&[0, 1, 2, 3]), Some(2)).unwrap_err();
    assert_eq!(error, Error::Inconsistent);
}

#[test]
fn bare_mistakes_have_their_names() {
    let twice = bare::combine(&old(&[0, 1, 0]), Some(3)).unwrap_err();
    assert_eq!(twice, Error::Duplicate { index: 1 });
    assert_eq!(
        bare::combine(&old(&[0]), None).unwrap_err(),
        Error::TooFew { have: 1, need: 2 }
    );
    assert_eq!(
        bare::combine(&old(&[0, 1]), Some(1)).unwrap_err(),
        Error::Counts
    );
    let value = OLD[0].split_once(':').unwrap().1;
    let parse = |text: &str| bare::parse(text.as_bytes()).unwrap_err();
    assert_eq!(parse(&format!("0:{value}")), Error::IndexZero);
    assert_eq!(parse(&format!("256:{value}")), Error::BadHeader);
    assert_eq!(parse(&format!("1:{}", &value[..41])), Error::Truncated);
    assert_eq!(parse("1:AAAA"), Error::Truncated);
    let position = Some(5);
    assert_eq!(
        parse(&OLD[0].replace("1:pMD", "1:pM!")),
        Error::Typo { position }
    );
    for text in ["", "1", ":", "1:", "x:AAAA", "1234:AAAA"] {
        let error = parse(text);
        assert!(error.is_damage(), "{text:?}: {error}");
    }
    let long = BASE64.encode(&[1; 81]);
    assert_eq!(parse(&format!("9:{long}")), Error::Lengths);
}

#[test]
fn bare_shares_of_new_sets() {
    let (key, shares) = set(&mut Random(7), 3, 5);
    let bare: Vec<_> = shares
        .iter()
        .map(|s| bare::parse(format!(" {}\r\n", *bare::format(s)).as_bytes()).unwrap())
        .take(3)
        .collect();
    assert_eq!(*bare::combine(&bare, Some(3)).unwrap(), key);
    // Four characters of base64 are three bytes: only the others tell.
    let short = bare::parse(&OLD[0].as_bytes()[..42]).unwrap();
    let error = bare::combine(&[short, old(&[1]).remove(0)], None).unwrap_err();
    assert_eq!(error, Error::Lengths);
}

#[test]
fn nothing_of_a_share_is_shown() {
    let header = header(&mut Random(8), 2, 3);
    let share = Share::new(header, 1, &[0xee; 32]).unwrap();
    let bare = bare::parse(bare::format(&share).as_bytes()).unwrap();
    let words = Share::parse(share.to_words().as_bytes()).unwrap();
    let shown = format!("{share:?} {bare:?} {words:?}");
    assert!(!shown.contains("238, 238"), "{shown}");
    assert!(shown.contains("index: 1"), "{shown}");
}
