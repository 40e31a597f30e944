//! `sv slot`: what opens the vault on this machine.

use super::{require_unlocked, unexpected};
use crate::{
    cli::slots::{AddArgs, SlotCommand},
    connect::Patience,
    context::Context,
    error::{Error, Result},
    input::{Passwords, one_source},
    json::Object,
    keyfile, output,
    table::Table,
};
use sv_proto::{
    Kind, Request, Response, limits,
    message::{Key, KeyKind, Slot},
};

pub fn run(context: &Context, command: SlotCommand) -> Result<()> {
    match command {
        SlotCommand::List => show(context, &slots(context, Request::Slots)?),
        SlotCommand::Add(args) => add(context, &args),
        SlotCommand::Remove { slot } => remove(context, &slot),
    }
}

fn slots(context: &Context, request: Request) -> Result<Vec<Slot>> {
    let patience = Patience::Long("deriving keys");
    match context.connect()?.call(request, patience)? {
        Response::Slots(slots) => Ok(slots),
        _ => Err(unexpected()),
    }
}

fn add(context: &Context, args: &AddArgs) -> Result<()> {
    check(args)?;
    let mut passwords = Passwords::claim_both(&args.present, &args.new, context.no_input)?;
    let new = keyfile::named(args.keyfile.as_deref(), args.credential.as_deref())?;
    let present = keyfile::named(
        args.present_keyfile.as_deref(),
        args.present_credential.as_deref(),
    )?;
    require_unlocked(context)?;
    let password = |secret| Key {
        kind: KeyKind::Password,
        secret,
    };
    let present = match present {
        Some(key) => key,
        None => password(passwords.current("Present password")?),
    };
    let new = match new {
        Some(key) => key,
        None => password(passwords.fresh("New password")?),
    };
    let request = Request::SlotAdd {
        present,
        new,
        label: args.label.clone(),
    };
    told(context, &slots(context, request)?, "the slot was added")
}

fn check(args: &AddArgs) -> Result<()> {
    one_source(&[
        ("--keyfile", args.keyfile.is_some()),
        ("--credential", args.credential.is_some()),
        ("--password", args.password),
    ])?;
    if !args.password && args.keyfile.is_none() && args.credential.is_none() {
        return Err(Error::usage(
            "what is to open the vault as well?",
            "--keyfile PATH, --credential NAME or --password",
        ));
    }
    let descriptors = args.present.password_fd.is_some() || args.present.password_stdin;
    one_source(&[
        ("--present-keyfile", args.present_keyfile.is_some()),
        ("--present-credential", args.present_credential.is_some()),
        ("--present-password", args.present_password),
        // A new password may come from there instead.
        ("a present password", descriptors && !args.password),
    ])?;
    let proven = args.present_keyfile.is_some()
        || args.present_credential.is_some()
        || args.present_password
        || descriptors
        || args.password;
    if !proven {
        return Err(Error::usage(
            "something that opens the vault now has to prove that you may",
            "--present-password asks for the password; --password-fd N, --password-stdin, \
             --present-keyfile PATH",
        ));
    }
    if args.new.new_password_fd.is_some() && !args.password {
        return Err(Error::usage(
            "--new-password-fd is for --password",
            "leave it away",
        ));
    }
    if args.label.len() > limits::LABEL || args.label.contains(output::garbles) {
        return Err(Error::usage(
            format!(
                "a label has at most {} bytes, and no control characters",
                limits::LABEL
            ),
            "choose another one for --label",
        ));
    }
    Ok(())
}

fn remove(context: &Context, named: &str) -> Result<()> {
    let present = slots(context, Request::Slots)?;
    let found = find(&present, named)?;
    let request = Request::SlotRemove { slot: found.id };
    told(context, &slots(context, request)?, "the slot was removed")
}

/// The slot with this label, or whose id begins so.
fn find<'a>(slots: &'a [Slot], named: &str) -> Result<&'a Slot> {
    let labelled = slots
        .iter()
        .filter(|s| !s.label.is_empty() && s.label == named);
    let lower = named.to_ascii_lowercase();
    let hex = !lower.is_empty() && lower.bytes().all(|b| b.is_ascii_hexdigit());
    let begins = slots.iter().filter(|s| hex && id(s).starts_with(&lower));
    let found: Vec<&Slot> = labelled.collect();
    let found = if found.is_empty() {
        begins.collect()
    } else {
        found
    };
    match found[..] {
        [slot] => Ok(slot),
        [] => Err(Error::agent(Kind::NoSlot, "no slot is called so")),
        _ => Err(Error::usage(
            "several slots are called so",
            "more of the id tells them apart: sv slot list",
        )),
    }
}

fn id(slot: &Slot) -> String {
    data_encoding::HEXLOWER.encode(&slot.id)
}

const fn kind(slot: &Slot) -> &'static str {
    match slot.kind {
        KeyKind::Password => "password",
        KeyKind::KeyFile => "keyfile",
        KeyKind::Credential => "credential",
    }
}

fn document(slots: &[Slot]) -> Object {
    let slot = |slot: &Slot| {
        let mut object = Object::new();
        object.text("id", &id(slot));
        object.text("kind", kind(slot));
        object.text("label", &slot.label);
        object
    };
    let mut object = Object::new();
    object.objects("slots", slots.iter().map(slot));
    object
}

fn show(context: &Context, slots: &[Slot]) -> Result<()> {
    if context.json {
        return output::stdout(&document(slots).line());
    }
    let terminal = output::is_terminal();
    let row = |slot: &Slot| {
        let label = output::shown(&slot.label, terminal).into_owned();
        vec![id(slot), kind(slot).to_owned(), label]
    };
    let rows: Vec<Vec<String>> = slots.iter().map(row).collect();
    let text =
        Table::new(&["ID", "KIND", "LABEL"], terminal, context.style()).rows(&rows, |_| false);
    output::stdout(text.as_bytes())
}

fn told(context: &Context, slots: &[Slot], text: &str) -> Result<()> {
    if context.json {
        return output::stdout(&document(slots).line());
    }
    output::note(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_by_its_label_or_the_beginning_of_its_id() {
        let slot = |first: u8, label: &str| Slot {
            id: [first; 16],
            kind: KeyKind::KeyFile,
            label: label.to_owned(),
        };
        let slots = [
            slot(0xab, "server"),
            slot(0xac, ""),
            slot(0x0d, "twice"),
            slot(0x0e, "twice"),
            slot(0xdd, "ab"),
        ];
        let found = |named: &str| find(&slots, named).map(|s| s.id[0]);
        assert_eq!(found("server").unwrap(), 0xab);
        assert_eq!(found("AC").unwrap(), 0xac);
        assert_eq!(found("0d").unwrap(), 0x0d);
        assert_eq!(found("ab").unwrap(), 0xdd, "a label beats an id");
        assert_eq!(found("abab").unwrap(), 0xab);
        for several in ["a", "twice", "0"] {
            assert_eq!(found(several).unwrap_err().code(), 2, "{several}");
        }
        for none in ["", "x", "ffff", "serve"] {
            assert_eq!(found(none).unwrap_err().code(), 4, "{none}");
        }
    }
}
