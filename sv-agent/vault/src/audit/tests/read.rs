//! Queries.

use super::*;

#[test]
fn queries() {
    let log = Log::new();
    let mut audit = log.unlocked();
    audit.limit_files(3000);
    for i in 0..80_i64 {
        let mut event = event(["a", "b", "c", "old\0new"][usize::try_from(i % 4).unwrap()]);
        event.time = i * 1000;
        let prepared = audit.prepare(event).unwrap();
        audit.append(prepared).unwrap();
    }
    assert!(Files::new(&log.place).full().unwrap().len() > 3);
    let of = |name: &str, last| AuditQuery {
        name: Some(name.to_owned()),
        last,
        ..all()
    };
    let events = read(&mut audit, &log, of("b", None));
    assert_eq!(events.len(), 20);
    assert!(events.iter().all(|e| e.name == "b"));
    assert!(events.is_sorted_by_key(|e| e.seq));
    assert_eq!(read(&mut audit, &log, of("b", Some(7))), events[13..]);
    for name in ["old", "new"] {
        assert_eq!(read(&mut audit, &log, of(name, None)).len(), 20);
    }
    assert_eq!(read(&mut audit, &log, of("none", Some(3))).len(), 0);
    for since in [0, 1, 30_000, 30_001, 79_000, 79_001] {
        let query = AuditQuery {
            since: Some(since),
            ..all()
        };
        let events = read(&mut audit, &log, query.clone());
        assert_eq!(
            events.len() as i64,
            80 - (since + 999) / 1000,
            "since {since}"
        );
        let last = AuditQuery {
            last: Some(4),
            ..query.clone()
        };
        assert_eq!(
            read(&mut audit, &log, last),
            events[events.len().saturating_sub(4)..]
        );
        let after = AuditQuery {
            after: Some(70),
            ..query
        };
        assert!(read(&mut audit, &log, after).iter().all(|e| e.seq > 70));
    }
}

#[test]
fn whoever_follows_goes_on_where_it_was() {
    let log = Log::new();
    let mut audit = log.unlocked();
    audit.limit_files(3000);
    let mut after = 0;
    for i in 1..=100_u64 {
        write(&mut audit, &i.to_string());
        if i % 7 == 0 {
            continue;
        }
        let query = AuditQuery {
            after: Some(after),
            ..all()
        };
        let events = read(&mut audit, &log, query);
        let seqs: Vec<u64> = events.iter().map(|e| e.seq).collect();
        assert_eq!(seqs, (after + 1..=i).collect::<Vec<_>>());
        after = i;
        let rolled = audit.current.as_ref().unwrap().len() < 3000;
        assert!(audit.seen.is_some() || !rolled);
        let query = AuditQuery {
            after: Some(after),
            ..all()
        };
        assert_eq!(read(&mut audit, &log, query).len(), 0);
    }
    audit.lock();
    assert!(audit.seen.is_none());
}
