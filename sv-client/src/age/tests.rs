use super::*;

const SSH: &str = include_str!("vectors/ed25519");
const SSH_PUBLIC: &str = include_str!("vectors/ed25519.pub");
const NATIVE: &str = include_str!("vectors/native");

fn identities(file: &str) -> Identities {
    let mut identities = Identities::default();
    identities.add(file.as_bytes()).unwrap();
    identities
}

fn native_public() -> String {
    let line = NATIVE.lines().find_map(|l| l.split_once("public key: "));
    line.unwrap().1.to_owned()
}

#[test]
fn files_of_the_program_age_are_opened() {
    let ssh = include_bytes!("vectors/ed25519.age");
    let native = include_bytes!("vectors/native.age");
    assert!(is_encrypted(ssh) && is_encrypted(native));
    assert_eq!(**identities(SSH).decrypt(ssh).unwrap(), *b"a share");
    assert_eq!(**identities(NATIVE).decrypt(native).unwrap(), *b"a share");

    let mut both = identities(SSH);
    both.add(NATIVE.as_bytes()).unwrap();
    assert_eq!(**both.decrypt(native).unwrap(), *b"a share");

    for (wrong, file) in [(NATIVE, &ssh[..]), (SSH, &native[..])] {
        let error = identities(wrong).decrypt(file).unwrap_err();
        assert_eq!(error.code(), 6);
        assert!(error.hint().unwrap().contains("--identity"));
    }
}

#[test]
fn what_is_encrypted_here_is_for_its_holder_alone() {
    for (public, own, other) in [
        (SSH_PUBLIC.to_owned(), SSH, NATIVE),
        (native_public(), NATIVE, SSH),
    ] {
        let holder = Holder::parse(&public).unwrap();
        assert_eq!(holder.label, public.trim());
        let file = holder.encrypt(b"another share").unwrap();
        assert!(is_encrypted(&file) && file.is_ascii());
        let opened = identities(own).decrypt(&file).unwrap();
        assert_eq!(**opened, *b"another share");
        assert_eq!(identities(other).decrypt(&file).unwrap_err().code(), 6);
    }
}

#[test]
fn damaged_files_are_told_as_such() {
    let holder = Holder::parse(SSH_PUBLIC).unwrap();
    let file = holder.encrypt(b"a share").unwrap();
    let identities = identities(SSH);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        // A changed tag of the recipient makes it somebody else's; space around
        // the armour does not count.
        match identities.decrypt(&changed) {
            Ok(plain) => assert_eq!(**plain, *b"a share", "byte {at}"),
            Err(error) => assert!([6, 8].contains(&error.code()), "byte {at}"),
        }
        let cut = identities.decrypt(&file[..at]);
        assert!(at + 1 >= file.len() || cut.is_err(), "cut at {at}");
    }
    let huge = holder.encrypt(&vec![b'x'; LARGEST + 1]).unwrap();
    assert_eq!(identities.decrypt(&huge).unwrap_err().code(), 8);
}

#[test]
fn what_is_no_holder() {
    let rsa = include_str!("vectors/rsa.pub");
    assert!(Holder::parse(rsa).unwrap_err().contains("RSA"));
    let native = native_public();
    assert!(Holder::parse(&native[..native.len() - 1]).is_err());
    let (kind, rest) = SSH_PUBLIC.split_once(' ').unwrap();
    assert!(Holder::parse(&format!("{kind} A{rest}")).is_err());
    assert!(Holder::parse("ssh-ed25519 AAAA").is_err());
    // The neutral element, which would give every sender the same key.
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20\x01".to_vec();
    blob.resize(blob.len() + 31, 0);
    let small = format!("ssh-ed25519 {}", data_encoding::BASE64.encode(&blob));
    assert!(Holder::parse(&small).is_err());
    for secret in NATIVE.lines().filter(|l| l.starts_with("AGE-")) {
        assert!(Holder::parse(secret).unwrap_err().contains("private"));
    }
    assert!(Holder::parse("hunter2").is_err());
    assert!(Holder::parse("").is_err());
}

#[test]
fn a_file_of_holders() {
    let native = native_public();
    let file = format!("# us\n{native}\n\n  {SSH_PUBLIC}");
    let holders = Holder::parse_all(&file).unwrap();
    assert_eq!(holders.len(), 2);
    assert!(!holders[0].is(&holders[1]));
    let commented = SSH_PUBLIC.replace("a test", "another comment");
    assert!(Holder::parse(&commented).unwrap().is(&holders[1]));
    let (line, _) = Holder::parse_all(&format!("{native}\nx\n")).unwrap_err();
    assert_eq!(line, 2);
    assert_eq!(Holder::parse_all("# nobody\n").unwrap().len(), 0);
}

#[test]
fn what_is_no_identity() {
    let refused = |file: &str| Identities::default().add(file.as_bytes()).unwrap_err();
    assert!(refused(include_str!("vectors/passphrase")).contains("passphrase"));
    assert!(refused(include_str!("vectors/rsa")).contains("RSA"));
    assert!(refused("-----BEGIN RSA PRIVATE KEY-----\nx\n").contains("not supported"));
    assert!(refused("AGE-PLUGIN-YUBIKEY-1XXX\n").contains("plugin"));
    assert!(refused("# nothing\n").contains("no private key"));
    assert!(refused(SSH_PUBLIC).contains("private keys"));
    assert!(refused(include_str!("vectors/ed25519.age")).contains("encrypted itself"));
    assert!(Identities::default().add(b"\xff").is_err());
    // Every damaged byte of a key is found, or was no part of the key.
    let (begin, rest) = SSH.split_once('\n').unwrap();
    let (body, end) = rest.rsplit_once("\n-----END").unwrap();
    let bytes = data_encoding::BASE64
        .decode(body.replace('\n', "").as_bytes())
        .unwrap();
    let file = include_bytes!("vectors/ed25519.age");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let text = data_encoding::BASE64.encode(&changed);
        let mut identities = Identities::default();
        if identities
            .add(format!("{begin}\n{text}\n-----END{end}").as_bytes())
            .is_ok()
        {
            assert_eq!(**identities.decrypt(file).unwrap(), *b"a share", "{at}");
        }
    }
}
