//! Which language variant a reader wants (contract §1.1).

use std::sync::Arc;

/// The most of an `Accept-Language` header that is read: more has no honest use.
const RANGES: usize = 32;

/// The wiki's variant that `accept_language` prefers, if it names one. Wikis with fewer than two variants have
/// nothing to choose. What goes upstream is the variant, so that each exists once in the caches.
pub(crate) fn variant(accept_language: Option<&str>, variants: &[String]) -> Option<Arc<str>> {
    if variants.len() < 2 {
        return None;
    }
    let mut ranges: Vec<(u32, &str)> = accept_language?
        .split(',')
        .take(RANGES)
        .filter_map(range)
        .filter(|(quality, _)| *quality > 0)
        .collect();
    ranges.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    for (_, tag) in ranges {
        let mut tag = tag;
        loop {
            if let Some(found) = variants.iter().find(|variant| variant.eq_ignore_ascii_case(tag)) {
                return Some(Arc::from(found.to_ascii_lowercase()));
            }
            // `zh-tw-x` is served by `zh-tw`.
            match tag.rsplit_once('-') {
                Some((shorter, _)) => tag = shorter,
                None => break,
            }
        }
    }
    None
}

/// A language range and its quality in thousandths.
fn range(text: &str) -> Option<(u32, &str)> {
    let mut parts = text.split(';');
    let tag = parts.next()?.trim();
    let quality = parts.find_map(|part| part.trim().strip_prefix("q="));
    let quality = match quality {
        Some(quality) => (quality.trim().parse::<f32>().ok()?.clamp(0.0, 1.0) * 1000.0) as u32,
        None => 1000,
    };
    (!tag.is_empty()).then_some((quality, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_variant_is_chosen() {
        let zh: Vec<String> = ["zh", "zh-hans", "zh-hant", "zh-tw"].map(str::to_owned).into();
        let pick = |header: &str| variant(Some(header), &zh).as_deref().map(str::to_owned);
        assert_eq!(pick("zh-TW,zh;q=0.9").as_deref(), Some("zh-tw"));
        assert_eq!(
            pick("en, zh-hant;q=0.5, zh-hans;q=0.8").as_deref(),
            Some("zh-hans")
        );
        assert_eq!(pick("zh-hant-HK").as_deref(), Some("zh-hant"));
        assert_eq!(pick("en-GB"), None);
        assert_eq!(pick("zh-tw;q=0"), None);
        assert_eq!(pick(&",".repeat(10_000)), None);
        assert_eq!(variant(Some("en"), &["en".to_owned()]), None);
        assert_eq!(variant(None, &zh), None);
    }
}
