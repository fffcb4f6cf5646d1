//! How fast it is, by hand: `cargo test --release -p levada-feeds --test it speed -- --ignored --nocapture`.
//! Prints, asserts nothing about time.

use crate::bench::{Bench, EN, document, shared};
use std::time::Instant;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn cold_and_warm() {
    let Some(feeds) = shared() else { return };
    let html = std::fs::read_to_string(feeds.join("html/onthisday/en.December_1.html")).expect("a page");
    for path in [
        "feed/onthisday/events/12/01",
        "feed/onthisday/births/12/01",
        "feed/onthisday/all/12/01",
        "aggregated/onthisday/all/12/01",
        "page/news",
        "aggregated/featured/2026/11/20",
    ] {
        let path = format!("/{EN}/v1/{path}");
        let (mut cold, mut warm, mut size, mut asked) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..15 {
            let bench = Bench::new();
            bench.wiki.page(EN, "December_1", &html);
            bench.wiki.page(
                EN,
                "Wikipedia:Selected_anniversaries/December_1",
                &document("<ul><li>1900 – x</li></ul>"),
            );
            let started = Instant::now();
            let answer = bench.get_with(&path, &[("accept-encoding", "gzip")]).await;
            cold.push(started.elapsed().as_secs_f64() * 1e3);
            answer.ok();
            (size, asked) = (answer.body.len(), bench.wiki.asked().len());
            for _ in 0..200 {
                let started = Instant::now();
                bench.get_with(&path, &[("accept-encoding", "gzip")]).await.ok();
                warm.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        println!(
            "{path}: cold {:.1} ms, warm {:.4} ms, {size} bytes gzip, {asked} upstream requests",
            median(cold),
            median(warm)
        );
    }
    let bench = std::sync::Arc::new(Bench::new());
    let path = "/en.wikipedia.org/v1/aggregated/featured/2026/11/20";
    bench.get(path).await.ok();
    let started = Instant::now();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move {
                for _ in 0..25_000 {
                    bench.get_with(path, &[("accept-encoding", "gzip")]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    println!(
        "{:.0} warm answers per second",
        100_000.0 / started.elapsed().as_secs_f64()
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!(
        "{}",
        status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap_or("")
    );
}
