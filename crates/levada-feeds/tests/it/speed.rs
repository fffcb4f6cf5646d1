//! How fast it is, by hand: `cargo test --release -p levada-feeds --test it speed -- --ignored --nocapture`.
//! Prints, asserts nothing about time.

use crate::bench::{Bench, EN, document, shared};
use std::time::Instant;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or("")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn memory_after_many_mixed_requests() {
    let mut config = levada_feeds::FeedsConfig::default();
    // Small, so that what is evicted is evicted soon.
    config.cache.results_bytes = 4 << 20;
    config.cache.replies_bytes = 4 << 20;
    config.cache.pages_bytes = 4 << 20;
    config.cache.summaries_bytes = 4 << 20;
    config.cache.answers_bytes = 4 << 20;
    let bench = Bench::of(config);
    let kinds = ["events", "births", "all"];
    for round in 0..5 {
        for n in 0..20_000_usize {
            let (month, day) = (n / 28 % 12 + 1, n % 28 + 1);
            let path = match n % 4 {
                0 => format!("/{EN}/v1/feed/onthisday/{}/{month}/{day}", kinds[n % 3]),
                1 => format!(
                    "/{EN}/v1/aggregated/featured/20{:02}/{month:02}/{day:02}",
                    16 + n % 10
                ),
                2 => format!("/{EN}/v1/page/news?format=atom"),
                _ => format!("/{EN}/v1/page/random/title"),
            };
            if round == 0 {
                let names = [
                    "January",
                    "February",
                    "March",
                    "April",
                    "May",
                    "June",
                    "July",
                    "August",
                    "September",
                    "October",
                    "November",
                    "December",
                ];
                bench.wiki.page(
                    EN,
                    &format!("{}_{day}", names[month - 1]),
                    &crate::bench::day_page(),
                );
            }
            bench.get(&path).await;
        }
        bench.wiki.forget_log();
        bench.clock.advance_s(400);
        println!("{} requests: {}", (round + 1) * 20_000, memory());
    }
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
    println!("{}", memory());
}
