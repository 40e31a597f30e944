//! `sv recover`: opens the vault with shares and sets a new password.

use super::{done, finished, state, unexpected, unlock};
use crate::{
    cli::shares::{CeremonyArgs, RecoverArgs},
    connect::Patience,
    context::Context,
    error::{Error, Result},
    gather,
    input::{Passwords, one_consumer},
    json::Object,
    output,
};
use std::time::Duration;
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{Ceremony, State},
    span,
};

/// How long a ceremony lasts, unless it is said.
const CEREMONY: Duration = Duration::from_secs(3600);

pub fn run(context: &Context, args: RecoverArgs) -> Result<()> {
    let ceremony = &args.ceremony;
    match chosen(&args)? {
        Step::Recover => recover(context, &args),
        Step::Drill => drill(context, &args),
        Step::Start => {
            let seconds = ceremony.span.unwrap_or(CEREMONY).as_secs();
            start(context, seconds)
        }
        Step::Submit => submit(context, &args),
        Step::Status => show(context, &call(context, Request::CeremonyStatus)?),
        Step::Cancel => {
            let request = Request::CeremonyCancel;
            done(&mut context.connect()?, request, Patience::Short)?;
            finished(context, "what was handed in is forgotten")
        }
        Step::Finish => finish(context, &args),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Recover,
    Drill,
    Start,
    Submit,
    Status,
    Cancel,
    Finish,
}

/// What the options ask for: one thing.
fn chosen(args: &RecoverArgs) -> Result<Step> {
    let CeremonyArgs {
        start,
        submit,
        status,
        cancel,
        finish,
        ..
    } = &args.ceremony;
    let named = [
        ("--drill", args.drill, Step::Drill),
        ("--start", *start, Step::Start),
        ("--submit", !submit.is_empty(), Step::Submit),
        ("--status", *status, Step::Status),
        ("--cancel", *cancel, Step::Cancel),
        ("--finish", *finish, Step::Finish),
    ];
    let mut asked = named.iter().filter(|(_, named, _)| *named);
    let Some((option, _, step)) = asked.next() else {
        return Ok(Step::Recover);
    };
    if let Some((second, ..)) = asked.next() {
        return Err(Error::usage(
            format!("{option} and {second} can't be used together"),
            "one step at a time",
        ));
    }
    let misplaced = |what: &str| {
        Err(Error::usage(
            format!("{option} goes without {what}"),
            "sv recover --help",
        ))
    };
    if !args.files.is_empty() && *step != Step::Drill {
        return misplaced("files of shares");
    }
    if !args.identities.is_empty() && !matches!(step, Step::Drill | Step::Submit) {
        return misplaced("--identity");
    }
    let password = args.password.password_stdin || args.password.password_fd.is_some();
    if password && *step != Step::Finish {
        return misplaced("a password");
    }
    Ok(*step)
}

/// The new password's source; standard input is read once.
fn passwords(context: &Context, args: &RecoverArgs) -> Result<Passwords> {
    one_consumer(&[
        ("-", gather::claims_stdin(&args.files)),
        ("--password-stdin", args.password.password_stdin),
        ("--password-fd 0", args.password.password_fd == Some(0)),
    ])?;
    Passwords::claim(&args.password, context.no_input)
}

/// Refuses before anyone types a share.
fn require_vault(context: &Context) -> Result<()> {
    match state(context)? {
        State::NoVault => Err(context.no_vault()),
        State::Locked | State::Unlocked => Ok(()),
    }
}

fn recover(context: &Context, args: &RecoverArgs) -> Result<()> {
    let mut passwords = passwords(context, args)?;
    let keys = gather::identities(&args.identities)?;
    require_vault(context)?;
    let shares = gather::enough(context, &args.files, &keys)?.enough()?;
    let password = passwords.fresh("New password for the vault")?;
    open(context, shares, password)
}

/// Opens the vault with shares, or with those that were handed in.
pub(super) fn open(context: &Context, shares: Vec<Secret>, password: Secret) -> Result<()> {
    let request = Request::Recover { shares, password };
    let patience = Patience::Long("opening the vault with its shares");
    let Response::Unlocked(unlocked) = context.connect()?.call(request, patience)? else {
        return Err(unexpected());
    };
    unlock::report(context, unlocked, "recovered and unlocked")?;
    if !context.json {
        output::warn("earlier passwords no longer open this vault; the shares still do");
        output::warn("hint: sv distribute deals new shares, if these were seen by others");
    }
    Ok(())
}

fn drill(context: &Context, args: &RecoverArgs) -> Result<()> {
    let keys = gather::identities(&args.identities)?;
    require_vault(context)?;
    let checked = gather::enough(context, &args.files, &keys)?;
    let (set, indices) = (checked.set(), checked.indices());
    let shares = checked.enough()?;
    let request = Request::RecoverDrill { shares };
    let patience = Patience::Long("trying the shares");
    done(&mut context.connect()?, request, patience)?;
    let set = set.map(|set| data_encoding::HEXLOWER.encode(&set));
    if context.json {
        let mut object = Object::new();
        object.flag("ok", true);
        object.text_or_null("set", set.as_deref());
        object.numbers("shares", indices.iter().copied().map(u64::from));
        return output::stdout(&object.line());
    }
    output::stdout(
        format!(
            "shares {} open the vault; nothing was changed\n",
            list(&indices)
        )
        .as_bytes(),
    )
}

fn list(indices: &[u8]) -> String {
    let texts: Vec<String> = indices.iter().map(u8::to_string).collect();
    texts.join(", ")
}

fn call(context: &Context, request: Request) -> Result<Ceremony> {
    match context.connect()?.call(request, Patience::Short)? {
        Response::Ceremony(ceremony) => Ok(ceremony),
        _ => Err(unexpected()),
    }
}

fn start(context: &Context, seconds: u64) -> Result<()> {
    let ceremony = call(context, Request::CeremonyStart { seconds })?;
    if context.json {
        return output::stdout(&document(&ceremony).line());
    }
    output::stdout(format!("{}\n", ceremony.key).as_bytes())?;
    output::note(&format!(
        "{} shares are needed within {}; holders release theirs with",
        ceremony.threshold,
        span::spell(Duration::from_secs(ceremony.left))
    ));
    output::note("  sv share release FILE --for KEY");
    output::note("and what comes out is handed in here with sv recover --submit FILE");
    Ok(())
}

fn submit(context: &Context, args: &RecoverArgs) -> Result<()> {
    let files = &args.ceremony.submit;
    let keys = gather::identities(&args.identities)?;
    // Told before anyone types a share.
    let mut ceremony = call(context, Request::CeremonyStatus)?;
    for found in gather::files(context, files, &keys)? {
        let request = Request::CeremonySubmit { share: found.text };
        ceremony = call(context, request).map_err(|e| e.about(found.what))?;
    }
    show(context, &ceremony)
}

fn finish(context: &Context, args: &RecoverArgs) -> Result<()> {
    let mut passwords = passwords(context, args)?;
    let ceremony = call(context, Request::CeremonyStatus)?;
    if ceremony.indices.len() < usize::from(ceremony.threshold) {
        let message = format!(
            "{} of {} shares are handed in",
            ceremony.indices.len(),
            ceremony.threshold
        );
        return Err(Error::agent(Kind::WrongShare, &message).hinted("sv recover --submit FILE"));
    }
    let password = passwords.fresh("New password for the vault")?;
    open(context, Vec::new(), password)
}

fn show(context: &Context, ceremony: &Ceremony) -> Result<()> {
    if context.json {
        return output::stdout(&document(ceremony).line());
    }
    let mut text = format!(
        "{} of {} shares are handed in",
        ceremony.indices.len(),
        ceremony.threshold
    );
    if !ceremony.indices.is_empty() {
        text.push_str(&format!(": {}", list(&ceremony.indices)));
    }
    let left = span::spell(Duration::from_secs(ceremony.left));
    text.push_str(&format!("; forgotten in {left}\n"));
    output::stdout(text.as_bytes())?;
    if ceremony.indices.len() >= usize::from(ceremony.threshold) {
        output::note("hint: sv recover --finish");
    }
    Ok(())
}

fn document(ceremony: &Ceremony) -> Object {
    let mut object = Object::new();
    object.text("key", &ceremony.key);
    object.number("threshold", u64::from(ceremony.threshold));
    object.numbers("shares", ceremony.indices.iter().copied().map(u64::from));
    object.number("left", ceremony.left);
    object
}
