//! The layer that follows redirects (contract §2.0.2, weakness W28).
//!
//! A redirect never leaves the wikis that may be served: a page summary may redirect to its target's, a wiki to its
//! new name, but nothing leads this server to an arbitrary host.

use super::{Fetch, FetchError, Request, Response, split_url};
use async_trait::async_trait;

/// Follows a bounded number of redirects.
pub struct Redirects<F> {
    inner: F,
    most: u32,
    admits: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

impl<F: Fetch> Redirects<F> {
    /// Follows at most `most` redirects, to the same host or to a host that `admits` accepts.
    pub fn new(inner: F, most: u32, admits: impl Fn(&str) -> bool + Send + Sync + 'static) -> Redirects<F> {
        Redirects {
            inner,
            most,
            admits: Box::new(admits),
        }
    }

    fn follow(&self, mut request: Request, location: &str) -> Result<Request, FetchError> {
        let nowhere = || FetchError::Redirect(location.to_owned());
        // Behind a mesh the connection stays where it is and only the Host header moves.
        let base = match &request.host {
            Some(host) => format!("http://{host}{}", request.path_and_query()),
            None => request.url.clone(),
        };
        let target = reqwest::Url::parse(&base)
            .and_then(|base| base.join(location))
            .map_err(|_| nowhere())?;
        if !matches!(target.scheme(), "http" | "https") {
            return Err(nowhere());
        }
        let (authority, path) = split_url(target.as_str());
        let domain = target.host_str().unwrap_or_default();
        if authority != request.authority() && !(self.admits)(domain) {
            return Err(nowhere());
        }
        let path = path.split('#').next().unwrap_or(path).to_owned();
        if request.host.is_some() {
            let origin = &request.url[..request.url.len() - request.path_and_query().len()];
            request.url = match request.path_and_query() {
                // A bare origin has no path of its own to cut off.
                "/" if !request.url.ends_with('/') => format!("{}{path}", request.url),
                _ => format!("{origin}{path}"),
            };
            request.host = Some(authority.to_owned());
        } else {
            request.url = format!("{}://{authority}{path}", target.scheme());
        }
        Ok(request)
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Redirects<F> {
    async fn fetch(&self, mut request: Request) -> Result<Response, FetchError> {
        for _ in 0..=self.most {
            let answer = self.inner.fetch(request.clone()).await?;
            let (301 | 302 | 303 | 307 | 308, Some(location)) = (answer.status, &answer.location) else {
                return Ok(answer);
            };
            request = self.follow(request, location)?;
        }
        Err(FetchError::Redirect(format!(
            "more than {} redirects, last to {}",
            self.most, request.url
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Script, request, status};
    use super::*;

    fn to(location: &str) -> Result<Response, FetchError> {
        let mut answer = Response::json(302, "");
        answer.location = Some(location.to_owned());
        Ok(answer)
    }

    async fn last_url(start: &str, host: Option<&str>, location: &str) -> Result<String, FetchError> {
        let script = Script::of([to(location), status(200)]);
        let layer = Redirects::new(script.clone(), 5, |host| host.ends_with(".wikipedia.org"));
        let mut request = request(start);
        request.host = host.map(str::to_owned);
        layer.fetch(request).await?;
        let seen = script.seen.lock();
        let last = seen.last().expect("asked");
        Ok(format!("{} [{}]", last.url, last.authority()))
    }

    #[tokio::test]
    async fn relative_and_absolute_locations_are_followed() {
        let start = "https://en.wikipedia.org/api/rest_v1/page/summary/A";
        assert_eq!(
            last_url(start, None, "B%3F").await.as_deref(),
            Ok("https://en.wikipedia.org/api/rest_v1/page/summary/B%3F [en.wikipedia.org]")
        );
        assert_eq!(
            last_url(start, None, "https://de.wikipedia.org/x#y")
                .await
                .as_deref(),
            Ok("https://de.wikipedia.org/x [de.wikipedia.org]")
        );
    }

    #[tokio::test]
    async fn behind_a_mesh_only_the_host_header_moves() {
        let start = "http://localhost:6500/w/rest.php/v1/page/A/with_html";
        assert_eq!(
            last_url(
                start,
                Some("en.wikipedia.org"),
                "https://de.wikipedia.org/w/x?y=1"
            )
            .await
            .as_deref(),
            Ok("http://localhost:6500/w/x?y=1 [de.wikipedia.org]")
        );
    }

    #[tokio::test]
    async fn foreign_hosts_other_schemes_and_loops_end_it() {
        let start = "https://en.wikipedia.org/a";
        for bad in [
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "https://evil.example/",
        ] {
            assert!(
                matches!(last_url(start, None, bad).await, Err(FetchError::Redirect(_))),
                "{bad}"
            );
        }
        let script = Script::of([to("/a")]);
        let layer = Redirects::new(script.clone(), 5, |_| true);
        assert!(matches!(
            layer.fetch(request(start)).await,
            Err(FetchError::Redirect(_))
        ));
        assert_eq!(script.asked(), 6);
    }
}
