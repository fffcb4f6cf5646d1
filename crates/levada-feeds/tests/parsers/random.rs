//! Random articles: cases 99 and 100.

use levada_feeds::model::{RandomCandidate, RandomTitle, Siteinfo};
use levada_feeds::note::{OriginalError, original_error};
use levada_feeds::parse::Compat;
use levada_feeds::parse::random::{choose, parse};

use crate::material::{json, real, rules};

fn scores(pages: &str, compat: Compat) -> Vec<i64> {
    let body = format!(r#"{{"query":{{"pages":[{pages}]}}}}"#);
    let (candidates, _) = parse(body.as_bytes(), &rules(), &Siteinfo::default(), compat);
    candidates.iter().map(|candidate| candidate.score).collect()
}

#[test]
fn case_99_the_best_wins_in_database_form() {
    let body = r#"{"query":{"pages":[
        {"title":"good page","description":"A thing","pageprops":{"page_image_free":"x.jpg"}},
        {"title":"Bad","description":"Wikimedia disambiguation page","pageprops":{"page_image":"x"}},
        {"title":"Fair","description":"A thing"}]}}"#;
    let (candidates, _) = parse(body.as_bytes(), &rules(), &Siteinfo::default(), Compat::FIXED);
    let scores: Vec<_> = candidates.iter().map(|candidate| candidate.score).collect();
    assert_eq!(scores, [3, -7, 1]);
    for random in 0..100 {
        assert_eq!(
            choose(&candidates, random).map(|title| title.as_str()),
            Some("Good_page")
        );
    }
    let answer = RandomTitle::new(candidates[0].title.clone());
    assert_eq!(json(&answer), r#"{"items":[{"title":"Good_page"}]}"#);
}

#[test]
fn case_99_recorded_scores() {
    let Some(text) = real("recorded/random-sample-results.json", 1) else {
        return;
    };
    let pages: Vec<serde_json::Value> = serde_json::from_str(&text).expect("json");
    // The recording has fractional scores; only their order matters.
    let candidates: Vec<_> = pages
        .iter()
        .map(|page| RandomCandidate {
            title: page["title"].as_str().expect("a title").into(),
            score: (page["score"].as_f64().expect("a score") * 1e9) as i64,
        })
        .collect();
    let best = candidates
        .iter()
        .max_by_key(|candidate| candidate.score)
        .expect("some");
    for random in [0, 1, u64::MAX] {
        assert_eq!(choose(&candidates, random), Some(&best.title));
    }
}

#[test]
fn case_100_equally_good_ones_both_occur() {
    let candidate = |title: &str, score| RandomCandidate {
        title: title.into(),
        score,
    };
    let candidates = [candidate("A", 3), candidate("B", 1), candidate("C", 3)];
    assert_eq!(choose(&candidates, 0), Some(&candidates[0].title));
    assert_eq!(choose(&candidates, 1), Some(&candidates[2].title));
    assert_eq!(choose(&[], 1), None);
}

#[test]
fn w15_disambiguation_pages_and_lists_in_any_language() {
    let page = r#"{"title":"A","pageprops":{"disambiguation":""}}"#;
    assert_eq!(
        (scores(page, Compat::FIXED), scores(page, Compat::WIKIFEEDS)),
        (vec![-10], vec![0])
    );
    let page = r#"{"title":"A","description":"Wikimedia-Begriffsklärungsseite"}"#;
    assert_eq!(
        (scores(page, Compat::FIXED), scores(page, Compat::WIKIFEEDS)),
        (vec![-9], vec![1])
    );
    let page = r#"{"title":"A","description":"wikimedia LIST article"}"#;
    assert_eq!(
        (scores(page, Compat::FIXED), scores(page, Compat::WIKIFEEDS)),
        (vec![-9], vec![1])
    );
    let page = r#"{"title":"A","description":"disambiguation page"}"#;
    assert_eq!(
        (scores(page, Compat::FIXED), scores(page, Compat::WIKIFEEDS)),
        (vec![-9], vec![-9])
    );
}

#[test]
fn answers_of_another_shape() {
    for body in ["", "{}", r#"{"batchcomplete":true}"#] {
        let (none, notes) = parse(body.as_bytes(), &rules(), &Siteinfo::default(), Compat::FIXED);
        assert!(none.is_empty());
        assert_eq!(original_error(&notes), Some(OriginalError::TypeError));
    }
}
