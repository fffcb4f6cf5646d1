//! The body of a request as it comes in.
//!
//! Answers are often decided before the body has been read to its end: it is too large, of the wrong
//! kind, or not wanted at all. Closing a socket that has unread input resets the connection, and a client
//! that is still writing then sees a broken pipe in place of the answer. So what is left of a body is read
//! and thrown away for a while after the answer, in bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// Most bytes that are thrown away: several times the largest body that is taken by default, so that
/// clients which overdo it a little hear so.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest time for which they are read.
const LINGER_TIME_MAX: Duration = Duration::from_secs(10);

/// The body of a request. Dropped before its end, it is read on in the background.
pub(crate) struct RequestBody {
    /// `None` when it was read to its end.
    incoming: Option<Incoming>,
    linger: bool,
    /// The client waits for `100 Continue`, which hyper sends when the body is first asked for.
    waits: bool,
}

impl RequestBody {
    /// Takes over the body of `request`. Clients that still wait for `100 Continue` send nothing before
    /// they have the answer, and HTTP/2 ends a stream without its connection: there is nothing to read on.
    pub(crate) fn of(request: Request<Incoming>) -> Request<Self> {
        let linger = request.version() < Version::HTTP_2;
        let waits = request.headers().contains_key(EXPECT);
        request.map(|incoming| Self {
            incoming: Some(incoming).filter(|incoming| !incoming.is_end_stream()),
            linger,
            waits,
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(&mut *incoming).poll_frame(context));
        if incoming.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // At the end of a runtime there is nobody left to read on.
        if let Some(incoming) = self.incoming.take().filter(|_| self.linger && !self.waits)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(throw_away(incoming));
        }
    }
}

async fn throw_away(mut incoming: Incoming) {
    let reading = async {
        let mut left = LINGER_BYTES_MAX;
        while let Some(Ok(frame)) = incoming.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whatever is left then ends with its connection.
    let _ = tokio::time::timeout(LINGER_TIME_MAX, reading).await;
}
