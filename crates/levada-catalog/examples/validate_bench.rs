//! How long parsing and validating an event takes.
//!
//! `cargo run --release -p levada-catalog --example validate_bench -- SCHEMA.yaml [EVENTS.ndjson]`
//! validates the schema's first example, or the events of a file, again and again, and prints the
//! best of several rounds. Prints are CPU-bound numbers of one thread; run it on a quiet machine.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use levada_catalog::{Compat, Schema};
use levada_event::json::{Document, Recycled};

/// Rounds, of which the best counts. Many short ones find a quiet moment even on a busy machine.
const ROUNDS: usize = 600;

/// How long one round lasts, about.
const ROUND: Duration = Duration::from_millis(2);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which schema?")?;
    let text = std::fs::read(&path)?;
    let yaml: serde_json::Value = serde_saphyr::from_slice(&text)?;
    let schema = Schema::from_json("/bench/1.0.0", yaml.clone(), &Compat::default())?;
    let events: Vec<String> = match arguments.next() {
        Some(file) => std::fs::read_to_string(file)?.lines().map(Into::into).collect(),
        None => vec![
            schema
                .examples()
                .first()
                .ok_or("the schema has no example")?
                .to_string(),
        ],
    };
    let bytes: usize = events.iter().map(String::len).sum();
    println!(
        "{} events of {} bytes on average",
        events.len(),
        bytes / events.len()
    );

    let mut spare = Recycled::default();
    let parse = best(|| {
        for event in &events {
            let document = Document::parse_with(event.as_bytes(), std::mem::take(&mut spare));
            let document = black_box(document.map_err(|e| e.to_string())?);
            spare = document.recycle();
        }
        Ok(())
    })?;
    let documents: Vec<Document<'_>> = events
        .iter()
        .map(|event| Document::parse(event.as_bytes()))
        .collect::<Result<_, _>>()?;
    let validate = best(|| {
        for document in &documents {
            black_box(schema.validate(black_box(document.root()))).map_err(|v| v.to_string())?;
        }
        Ok(())
    })?;
    // Yardsticks: what the libraries do without us.
    let syntax = best(|| {
        for event in &events {
            black_box(serde_json::from_str::<serde::de::IgnoredAny>(event).map_err(|e| e.to_string())?);
        }
        Ok(())
    })?;
    let plain = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .offline()
        .build(&stripped(yaml))?;
    let trees: Vec<serde_json::Value> = events
        .iter()
        .map(|event| serde_json::from_str(event))
        .collect::<Result<_, _>>()?;
    let tree = best(|| {
        for tree in &trees {
            black_box(plain.is_valid(black_box(tree)));
        }
        Ok(())
    })?;
    let count = events.len() as f64;
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count;
    println!(
        "parse     {:7.3} us  {:6.2} GB/s",
        micros(parse),
        bytes as f64 / parse.as_secs_f64() / 1e9
    );
    println!("validate  {:7.3} us", micros(validate));
    println!("both      {:7.3} us", micros(parse + validate));
    println!(
        "beside it: serde_json syntax alone {:.3} us, jsonschema on trees {:.3} us",
        micros(syntax),
        micros(tree)
    );
    Ok(())
}

/// Without identities, which the library would index.
fn stripped(mut schema: serde_json::Value) -> serde_json::Value {
    match &mut schema {
        serde_json::Value::Object(map) => {
            map.retain(|key, value| !matches!(key.as_str(), "$id" | "$schema") || !value.is_string());
            map.values_mut().for_each(|value| *value = stripped(value.take()));
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(|value| *value = stripped(value.take())),
        _ => {}
    }
    schema
}

/// The shortest time of one run.
fn best(mut run: impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    let start = Instant::now();
    run()?;
    let repeat = (ROUND.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-9))
        .ceil()
        .max(1.0) as u32;
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..repeat {
            run()?;
        }
        best = best.min(start.elapsed() / repeat);
    }
    Ok(best)
}
