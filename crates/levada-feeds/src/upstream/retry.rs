//! The layer that tries again (contract §2.0.2).
//!
//! Everything but page HTML: two attempts on network errors and 5xx. Page HTML: four attempts, 429 included. A
//! numeric `Retry-After` of a 503 or 429 replaces the back-off as long as it is not longer than the longest one.

use super::{Fetch, FetchError, Request, Response, Upstream};
use async_trait::async_trait;
use std::time::Duration;

/// How often and how patiently to try.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts per request.
    pub attempts: u32,
    /// Attempts per page-HTML request.
    pub html_attempts: u32,
    /// First back-off, milliseconds; doubles.
    pub backoff_ms: u64,
    /// Longest back-off, milliseconds.
    pub backoff_max_ms: u64,
}

/// Repeats failed requests with full jitter.
pub struct Retry<F> {
    inner: F,
    patience: Patience,
}

impl<F: Fetch> Retry<F> {
    /// Repeats the requests of `inner` with the given patience.
    pub fn new(inner: F, patience: Patience) -> Retry<F> {
        Retry { inner, patience }
    }

    fn pause(&self, attempt: u32, answer: &Result<Response, FetchError>) -> Option<Duration> {
        let longest = self.patience.backoff_max_ms;
        if let Ok(Response {
            status: 503 | 429,
            retry_after_s: Some(seconds),
            ..
        }) = answer
        {
            let asked = u64::from(*seconds) * 1000;
            // Told to stay away for longer than anyone waits: another attempt now would only add load.
            return (asked <= longest).then(|| Duration::from_millis(asked));
        }
        let window = self
            .patience
            .backoff_ms
            .saturating_mul(1 << attempt.min(16))
            .min(longest);
        Some(Duration::from_millis(if window == 0 {
            0
        } else {
            rand::random_range(0..=window)
        }))
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Retry<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let html = request.upstream == Upstream::Html;
        let attempts = if html {
            self.patience.html_attempts
        } else {
            self.patience.attempts
        };
        let mut attempt = 0;
        loop {
            let answer = self.inner.fetch(request.clone()).await;
            attempt += 1;
            if attempt >= attempts || !again(&answer, html) {
                return answer;
            }
            let Some(pause) = self.pause(attempt - 1, &answer) else {
                return answer;
            };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn again(answer: &Result<Response, FetchError>, html: bool) -> bool {
    match answer {
        Ok(response) => response.status >= 500 || (html && response.status == 429),
        Err(FetchError::Network(_) | FetchError::Timeout(_)) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Script, request, status};
    use super::*;

    const PATIENCE: Patience = Patience {
        attempts: 2,
        html_attempts: 4,
        backoff_ms: 0,
        backoff_max_ms: 0,
    };

    async fn asked(upstream: Upstream, answers: Vec<Result<Response, FetchError>>) -> (u16, usize) {
        let script = Script::of(answers);
        let mut request = request("http://h/");
        request.upstream = upstream;
        let answer = Retry::new(script.clone(), PATIENCE).fetch(request).await;
        (answer.map_or(0, |answer| answer.status), script.asked())
    }

    #[tokio::test]
    async fn page_html_is_asked_four_times_and_the_rest_twice() {
        let fails_thrice = vec![status(500), status(500), status(500), status(200)];
        assert_eq!(asked(Upstream::Html, fails_thrice.clone()).await, (200, 4));
        assert_eq!(asked(Upstream::Action, fails_thrice).await, (500, 2));
    }

    #[tokio::test]
    async fn a_404_is_final_and_only_html_repeats_a_429() {
        assert_eq!(asked(Upstream::Html, vec![status(404)]).await, (404, 1));
        assert_eq!(asked(Upstream::Html, vec![status(429)]).await, (429, 4));
        assert_eq!(asked(Upstream::Summary, vec![status(429)]).await, (429, 1));
    }

    #[tokio::test]
    async fn a_long_retry_after_ends_the_attempts() {
        let mut busy = Response::json(503, "");
        busy.retry_after_s = Some(120);
        assert_eq!(asked(Upstream::Html, vec![Ok(busy)]).await, (503, 1));
    }

    #[tokio::test]
    async fn broken_connections_are_repeated() {
        let broken = Err(FetchError::Network("reset".into()));
        assert_eq!(
            asked(Upstream::Summary, vec![broken, status(200)]).await,
            (200, 2)
        );
    }
}
