//! Synthetic wiki edits for `levada dev`: invented wikis, pages and people, the same for the same
//! seed and times. Events fit the demo schema `/demo/edit/1.0.0`; `meta.id` and `meta.dt` are left to
//! the intake.

use bytes::Bytes;
use levada_event::Timestamp;
use levada_event::json::write_string;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The stream the events are for.
pub(super) const STREAM: &str = "demo.edits";

const SCHEMA: &str = "/demo/edit/1.0.0";

/// Pages that a wiki has at the beginning.
const PAGES_AT_START: usize = 200;

/// Most pages of a wiki: what is remembered of each stays in memory.
const PAGES_MAX: usize = 20_000;

struct Wiki {
    id: &'static str,
    domain: &'static str,
    places: &'static [&'static str],
    kinds: &'static [&'static str],
    comments: &'static [&'static str],
}

/// Wikis by how busy they are.
const WIKIS: [Wiki; 3] = [
    Wiki {
        id: "endemo",
        domain: "en.demo.example",
        places: &[
            "Porto Moniz",
            "Ribeira Seca",
            "Pico Alto",
            "Old Harbour",
            "Stonebridge",
            "Ashcombe",
            "Lower Mill",
        ],
        kinds: &[
            "Lighthouse of ",
            "History of ",
            "Geology of ",
            "Music in ",
            "Rail transport in ",
            "Lichens of ",
            "List of mills in ",
        ],
        comments: &[
            "fix a typo",
            "add a source",
            "copy edit",
            "update the population",
            "clarify the lead",
            "/* History */ new section",
            "",
        ],
    },
    Wiki {
        id: "ptdemo",
        domain: "pt.demo.example",
        places: &[
            "São Vicente",
            "Ponta do Sol",
            "Câmara Velha",
            "Ribeira Brava",
            "Achada",
        ],
        kinds: &[
            "Levada de ",
            "História de ",
            "Farol de ",
            "Igreja de ",
            "Flora de ",
        ],
        comments: &[
            "correção ortográfica",
            "adiciona fonte",
            "atualização",
            "/* Clima */",
            "",
        ],
    },
    Wiki {
        id: "dedemo",
        domain: "de.demo.example",
        places: &["Mühlbach", "Altenfels", "Grünau", "Seehausen"],
        kinds: &["Bahnhof ", "Geschichte von ", "Burg ", "Wasserrechte in "],
        comments: &[
            "Rechtschreibung",
            "Beleg ergänzt",
            "Vorlage \"Infobox\" ergänzt",
            "/* Einzelnachweise */",
            "",
        ],
    },
];

const PEOPLE: [&str; 12] = [
    "Ana Levadeira",
    "Bruno",
    "Carla M.",
    "Dário",
    "Edna K",
    "Felix9",
    "Greta Stein",
    "Hugo",
    "Inês",
    "Jonas W.",
    "Kim",
    "Lena",
];

/// An endless row of edits.
pub(super) struct Generator {
    random: StdRng,
    revision: u64,
    /// Per wiki, what is known of its pages; the page's number is its place plus 1.
    pages: [Vec<Page>; WIKIS.len()],
}

/// The current state of a page.
#[derive(Clone, Copy)]
struct Page {
    revision: u64,
    size: u64,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut revision = 0;
        let pages = std::array::from_fn(|_| {
            let page = |_| {
                revision += 1;
                Page {
                    revision,
                    size: random.random_range(200..40_000),
                }
            };
            (0..PAGES_AT_START).map(page).collect()
        });
        Self {
            random,
            revision,
            pages,
        }
    }

    /// The JSON text of the next edit, made at `now`.
    pub(super) fn edit(&mut self, now: Timestamp) -> Bytes {
        let which = match self.random.random_range(0..10) {
            0..6 => 0,
            6..9 => 1,
            _ => 2,
        };
        let wiki = &WIKIS[which];
        let made = self.pages[which].len() < PAGES_MAX && self.random.random_bool(0.05);
        let page = if made {
            self.pages[which].push(Page { revision: 0, size: 0 });
            self.pages[which].len()
        } else {
            // Few pages are edited often, many rarely.
            let spread: f64 = self.random.random();
            1 + (spread.powi(3) * (self.pages[which].len() - 1) as f64) as usize
        };
        let before = self.pages[which][page - 1];
        self.revision += self.random.random_range(1..5);
        let change = self.random.random_range(0..600);
        let grows = before.size < 200 || self.random.random_bool(0.6);
        let size = if grows {
            before.size + change + 1
        } else {
            before.size.saturating_sub(change)
        };
        let after = Page {
            revision: self.revision + 1000,
            size,
        };
        self.pages[which][page - 1] = after;
        let bot = self.random.random_bool(0.2);
        let minor = self.random.random_bool(0.3);
        let comment = self.random.random_range(0..wiki.comments.len());
        let person = self.random.random_range(0..PEOPLE.len());

        let mut out = Vec::with_capacity(448);
        let put = |out: &mut Vec<u8>, text: &str| out.extend_from_slice(text.as_bytes());
        put(&mut out, "{\"$schema\":");
        write_string(&mut out, SCHEMA);
        put(&mut out, ",\"meta\":{\"stream\":");
        write_string(&mut out, STREAM);
        put(&mut out, ",\"domain\":");
        write_string(&mut out, wiki.domain);
        put(&mut out, &format!("}},\"dt\":\"{now}\",\"wiki_id\":"));
        write_string(&mut out, wiki.id);
        put(&mut out, &format!(",\"page_id\":{page},\"page_title\":"));
        let (namespace, title) = title(wiki, page);
        write_string(&mut out, &title);
        put(
            &mut out,
            &format!(",\"namespace_id\":{namespace},\"rev_id\":{}", after.revision),
        );
        if !made {
            put(
                &mut out,
                &format!(
                    ",\"rev_parent_id\":{},\"old_size\":{}",
                    before.revision, before.size
                ),
            );
        }
        put(
            &mut out,
            &format!(",\"new_size\":{size},\"minor\":{},\"comment\":", minor && !made),
        );
        write_string(&mut out, if made { "new page" } else { wiki.comments[comment] });
        let (number, name) = if bot {
            (1, "MillBot")
        } else {
            (person + 2, PEOPLE[person])
        };
        put(
            &mut out,
            &format!(",\"user\":{{\"user_id\":{number},\"user_text\":"),
        );
        write_string(&mut out, name);
        put(&mut out, &format!(",\"is_bot\":{bot}}}}}"));
        out.into()
    }
}

/// A page's namespace and title; the same for the same page. Every tenth page is the talk page of the
/// one before it.
fn title(wiki: &Wiki, page: usize) -> (u8, String) {
    let talk = page.is_multiple_of(10);
    let of = if talk { page - 1 } else { page };
    let (kinds, places) = (wiki.kinds.len(), wiki.places.len());
    let kind = wiki.kinds[of % kinds];
    let place = wiki.places[of / kinds % places];
    let round = of / (kinds * places);
    let number = if round > 0 {
        format!(" ({})", round + 1)
    } else {
        String::new()
    };
    (
        u8::from(talk),
        format!("{}{kind}{place}{number}", if talk { "Talk:" } else { "" }),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;

    use levada_catalog::{NoFetch, SchemaConfig, SchemaRepository, demo};
    use levada_event::json::Document;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);

    #[test]
    fn the_same_seed_gives_the_same_edits() {
        let row = |seed| {
            let mut generator = Generator::new(seed);
            (0..50).map(|_| generator.edit(NOW)).collect::<Vec<_>>()
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
    }

    #[tokio::test]
    async fn edits_fit_the_demo_schema_and_follow_each_other() {
        let schemas =
            SchemaRepository::new(SchemaConfig::default(), Arc::new(NoFetch)).with_embedded(demo::SCHEMAS);
        let schema = schemas.schema(SCHEMA).await.unwrap();
        let mut generator = Generator::new(7);
        let mut pages: HashMap<(String, String), (String, String, String)> = HashMap::new();
        let mut titles = HashSet::new();
        for _ in 0..3000 {
            let text = generator.edit(NOW);
            let document = Document::parse(&text).unwrap();
            let root = document.root();
            assert!(schema.validate(root).is_ok(), "{root:?}");
            let at = |key: &str| root.get(key).unwrap().raw().to_owned();
            let now = (at("rev_id"), at("new_size"), at("page_title"));
            let page = (at("wiki_id"), at("page_id"));
            titles.insert((page.0.clone(), now.2.clone()));
            if let Some(before) = pages.insert(page, now.clone()) {
                assert_eq!((at("rev_parent_id"), at("old_size"), now.2), before);
            }
        }
        assert!(pages.len() > 300, "{}", pages.len());
        assert_eq!(titles.len(), pages.len(), "pages of a wiki differ in title");
    }
}
