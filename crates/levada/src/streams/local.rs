//! Streams as a configuration file declares them, without a server.

use std::path::Path;
use std::sync::Arc;

use levada_catalog::{Catalog, CatalogError, CheckReport, Location, NoFetch, Severity};
use levada_server::config::Config;
use levada_server::outbound::Outbound;
use levada_server::sources;
use serde_json::{Map, Value};

use crate::exit::{Exit, Failure};
use crate::serve::Settings;

/// All streams with their settings. What is wrong with single streams goes to standard error.
pub(super) async fn streams(path: &Path) -> Result<Map<String, Value>, Failure> {
    let settings = Settings {
        config: Some(path.to_owned()),
        ..Settings::default()
    };
    let config = settings.load()?.config;
    let catalog = open(&config, outbound()?).await?;
    let snapshot = catalog.snapshot();
    for problem in snapshot.problems() {
        eprintln!("levada: {problem}");
    }
    let streams = snapshot.streams().iter();
    Ok(streams
        .map(|stream| (stream.name.clone(), Value::Object(stream.settings.clone())))
        .collect())
}

/// Checks streams and schemas of a configuration and prints what is found.
pub(super) async fn check(settings: &Settings) -> Result<Exit, Failure> {
    let config = settings.load()?.config;
    let outbound = outbound()?;
    let catalog = open(&config, outbound.clone()).await?;
    let schemas = sources::schemas(&config, false, outbound);
    let report = levada_catalog::check(&catalog.snapshot(), &schemas).await;
    super::list::print(&render(&report))?;
    Ok(if report.is_sound() { Exit::Ok } else { Exit::Faults })
}

/// What keeps local files of stream configuration from being read as such. Faults of single streams are
/// [`check`]'s business, unless no stream is without.
pub(crate) async fn faults_of_files(config: &Config) -> Result<Vec<String>, Failure> {
    let mut declared = sources::streams(config, false);
    let all = declared.sources.len();
    declared
        .sources
        .retain(|source| matches!(source.location, Location::File(_)));
    if declared.sources.is_empty() {
        return Ok(Vec::new());
    }
    let only_files = declared.sources.len() == all;
    let problems = match Catalog::open(declared, Arc::new(NoFetch)).await {
        Ok(catalog) => catalog.snapshot().problems().to_vec(),
        Err(CatalogError::Empty(problems)) if problems.is_empty() => {
            return Ok(vec![
                "catalog.stream_config: the files declare no stream".to_owned(),
            ]);
        }
        // The server does not start without one of its files.
        Err(CatalogError::Unusable(problems)) => {
            return Ok(problems.iter().map(ToString::to_string).collect());
        }
        // Nothing is left that the server could start with.
        Err(CatalogError::Empty(problems)) if only_files => {
            return Ok(problems.iter().map(ToString::to_string).collect());
        }
        Err(CatalogError::Empty(problems)) => problems,
    };
    let whole = problems
        .iter()
        .filter(|problem| problem.stream.is_none() && problem.severity == Severity::Error);
    Ok(whole.map(ToString::to_string).collect())
}

fn outbound() -> Result<Arc<Outbound>, Failure> {
    let outbound =
        Outbound::new().map_err(|error| Failure::new(Exit::Io, format!("cannot set up HTTP: {error}")))?;
    Ok(Arc::new(outbound))
}

/// The catalog of a configuration.
pub(crate) async fn catalog(config: &Config) -> Result<Catalog, Failure> {
    open(config, outbound()?).await
}

async fn open(config: &Config, outbound: Arc<Outbound>) -> Result<Catalog, Failure> {
    let streams = sources::streams(config, false);
    if streams.sources.is_empty() {
        return Err(Failure::new(
            Exit::Config,
            "catalog.stream_config is empty: no stream is declared",
        ));
    }
    Catalog::open(streams, outbound)
        .await
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))
}

fn render(report: &CheckReport) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        out.push_str(match finding.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        });
        out.push_str(&finding.source);
        out.push_str(": ");
        if let Some(stream) = &finding.stream {
            out.push_str(stream);
            out.push_str(": ");
        }
        out.push_str(&finding.reason);
        out.push('\n');
    }
    let errors = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    out.push_str(&format!(
        "{} streams ({} patterns), {} schemas, {} of them found; {errors} errors, {} warnings\n",
        report.streams,
        report.patterns,
        report.titles,
        report.titles_found,
        report.findings.len() - errors,
    ));
    out
}
