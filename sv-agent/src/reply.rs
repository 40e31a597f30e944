//! Frames to a stream, within time and memory. Handlers hand over messages;
//! only this file and the inbox touch the socket.

use crate::{
    budget::{Budget, Room},
    connections::{Phase, Slot},
    errors, events, limits,
};
use std::{
    io,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use sv_proto::{Response, frame, message::Failure};
use tokio::{io::Interest, net::UnixStream, task::yield_now, time::timeout};

/// The answer to one request.
pub(crate) struct Reply<'a> {
    stream: &'a UnixStream,
    slot: &'a Rc<Slot>,
    budget: &'a Budget,
    id: u64,
    /// The part of the budget that the next frame takes.
    room: Option<Room>,
    /// A frame was not taken; no other is tried.
    unread: bool,
}

/// The peer is gone, or does not read.
#[derive(Debug)]
pub(crate) struct Unread;

impl<'a> Reply<'a> {
    pub(crate) fn new(
        stream: &'a UnixStream,
        slot: &'a Rc<Slot>,
        budget: &'a Budget,
        id: u64,
    ) -> Self {
        Self {
            stream,
            slot,
            budget,
            id,
            room: None,
            unread: false,
        }
    }

    /// Waiting for a turn is marked, so that it can be cut short when room for
    /// others is needed. The turn of a peer that has gone meanwhile is skipped.
    pub(crate) async fn waiting<T>(&self, turn: impl Future<Output = T>) -> Result<T, Failure> {
        self.slot.enter(Phase::Waiting);
        let got = turn.await;
        self.slot.enter(Phase::Serving);
        if self.peer_is_gone() {
            return Err(errors::internal(&"the client went away"));
        }
        Ok(got)
    }

    fn peer_is_gone(&self) -> bool {
        let ready = pin!(self.stream.ready(Interest::WRITABLE));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) => ready.is_write_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }

    /// The last frame.
    pub(crate) async fn last(&mut self, response: Response) -> Result<(), Unread> {
        self.send(0, response).await
    }

    /// A frame that others follow. A peer that does not take it ends the
    /// request; there is nobody to tell.
    pub(crate) async fn part(&mut self, response: Response) -> Result<(), Unread> {
        events::before_part().map_err(|()| Unread)?;
        self.send(frame::MORE, response).await?;
        self.slot.enter(Phase::Serving);
        Ok(())
    }

    /// How much the next frame of a list may hold: less while the budget is
    /// used up, instead of waiting for it.
    pub(crate) fn chunk(&mut self) -> usize {
        let chunk = sv_proto::limits::CHUNK;
        // A chunk ends with the item that fills it.
        self.room = self.budget.try_take(chunk + 32 * 1024, self.slot);
        match self.room {
            Some(_) => chunk,
            None => limits::SMALL / 2,
        }
    }

    /// Answers with what `make` makes, which may be large. While the budget is
    /// used up, `size` is asked first: small answers pass, large ones wait.
    pub(crate) async fn sized(
        &mut self,
        size: impl FnOnce() -> Result<usize, Failure>,
        make: impl FnOnce() -> Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let mut room = self.budget.try_take(limits::REPLY, self.slot);
        if room.is_none() && size()? > limits::SMALL {
            let turn = self.budget.take(limits::REPLY, self.slot);
            room = Some(self.waiting(turn).await??);
            // Where many wait, one large answer follows the other: whoever
            // has come meanwhile is seen to in between.
            yield_now().await;
        }
        let response = make()?;
        let size = weight(&response);
        self.room = room.filter(|_| size > limits::SMALL).map(|mut room| {
            room.shrink(size);
            room
        });
        Ok(response)
    }

    async fn send(&mut self, flags: u16, response: Response) -> Result<(), Unread> {
        if self.unread {
            return Err(Unread);
        }
        let room = self.room.take();
        let encoded = frame::encode(self.id, flags, &response);
        // Only one of the two is kept while the peer reads.
        drop(response);
        let frame = match encoded {
            Ok(frame) => frame,
            Err(error) => frame::encode(self.id, 0, &Response::Failed(errors::internal(&error)))
                .map_err(|_| Unread)?,
        };
        self.slot.begin(Phase::Writing);
        let sent = write(self.stream, &frame).await;
        drop(room);
        self.unread = sent.is_err();
        sent
    }
}

/// What an answer takes at least; exact enough for the budget.
fn weight(response: &Response) -> usize {
    match response {
        Response::Value(value) => value.len(),
        Response::Item { item, value } => {
            let fields = &item.fields;
            let tags: usize = fields.tags.iter().map(String::len).sum();
            let value = value.as_ref().map_or(0, |value| value.len());
            value + item.name.len() + fields.category.len() + fields.note.len() + tags + 256
        }
        _ => 256,
    }
}

/// Writes all of `bytes`, in time.
pub(crate) async fn write(stream: &UnixStream, bytes: &[u8]) -> Result<(), Unread> {
    let write_all = async {
        let mut rest = bytes;
        while !rest.is_empty() {
            match stream.try_write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.writable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        io::Result::Ok(())
    };
    match timeout(limits::WRITE_TIME, write_all).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "an answer was not taken");
            Err(Unread)
        }
        Err(_) => {
            tracing::debug!("an answer was not taken in time");
            Err(Unread)
        }
    }
}
