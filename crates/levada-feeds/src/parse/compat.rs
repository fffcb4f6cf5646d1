//! Which quirks of the node service the parsers keep.

/// Quirks of the node service that a client may lean on. All off by default; `[compat] wikifeeds`
/// turns all of them on. Where the original would have failed, notes say so instead
/// ([`crate::note::original_error`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compat {
    /// News and on this day are looked up by the first label of the domain alone, so that sister
    /// projects count as supported (contract §1.6).
    pub first_label_decides: bool,
    /// Link targets are not percent-decoded, so that `./What%3F` asks for `What%253F` (W10), and not
    /// normalised.
    pub raw_link_titles: bool,
    /// Links to files, special pages, fragments and other sites are asked for as if they were
    /// articles (W11).
    pub all_links: bool,
    /// Several links of a news story may resolve to the same page (W17).
    pub keep_duplicate_links: bool,
    /// The text of `<style>` elements is part of selected items and did-you-know texts (W18).
    pub style_text: bool,
    /// Items nested under a line that is not just a year lose their own text (W18).
    pub original_nesting: bool,
    /// Page titles and item grammars have the per-language defects of the original (W19); links to
    /// the year stay where the original lets them stay.
    pub original_grammar: bool,
    /// Did-you-know links that are not `./…` are mangled (W20).
    pub original_dyk_links: bool,
    /// Stories and did-you-know items keep relative links, generated ids and the empty `<i></i>`
    /// that "(pictured)" leaves behind (W31).
    pub raw_html: bool,
    /// Announcements are listed however far ahead they start (W23).
    pub announce_early: bool,
    /// Random articles: only English descriptions mark disambiguation pages and lists (W15).
    pub random_english_only: bool,
}

impl Compat {
    /// No quirks.
    pub const FIXED: Self = Self {
        first_label_decides: false,
        raw_link_titles: false,
        all_links: false,
        keep_duplicate_links: false,
        style_text: false,
        original_nesting: false,
        original_grammar: false,
        original_dyk_links: false,
        raw_html: false,
        announce_early: false,
        random_english_only: false,
    };

    /// All quirks.
    pub const WIKIFEEDS: Self = Self {
        first_label_decides: true,
        raw_link_titles: true,
        all_links: true,
        keep_duplicate_links: true,
        style_text: true,
        original_nesting: true,
        original_grammar: true,
        original_dyk_links: true,
        raw_html: true,
        announce_early: true,
        random_english_only: true,
    };

    /// All quirks or none.
    pub fn from_switch(wikifeeds: bool) -> Self {
        if wikifeeds { Self::WIKIFEEDS } else { Self::FIXED }
    }
}
