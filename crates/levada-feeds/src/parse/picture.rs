//! Picture of the day (contract §2.2).

use std::sync::LazyLock;

use dom_query::NodeRef;
use serde_json::{Map, Value};

use super::html::{document, is, piece, select};
use super::out::{Style, inner_html};
use super::strip::strip_tags;
use crate::date::FeedDate;
use crate::lang::{Selector, first_label, js_trim};
use crate::model::{
    Artist, FeaturedImage, ImageFile, LangText, License, PictureEntity, PictureFile, PictureText, Structured,
};
use crate::note::{Note, NoteKind, Notes, OriginalError};

/// Most languages of a description that are kept; pictures have up to about 60.
pub const MAX_LANGUAGES: usize = 500;

/// The language to fall back to.
const FALLBACK: &str = "en";

/// The key in an object of values by language that is not a language.
const TYPE_KEY: &str = "_type";

static DESCRIPTION: LazyLock<Selector> = LazyLock::new(|| Selector::fixed(".description[class*=lang-]"));

/// The template that names the picture of a day.
pub fn template_title(date: FeedDate) -> String {
    format!("Template:Potd/{date}")
}

/// The repository of files of a wiki: the beta one for beta wikis.
pub fn commons_domain(domain: &str) -> &'static str {
    if domain.ends_with("beta.wmflabs.org") {
        "commons.wikimedia.beta.wmflabs.org"
    } else {
        "commons.wikimedia.org"
    }
}

/// What the image query found.
#[derive(Clone, Debug, PartialEq)]
pub enum PictureQuery {
    /// No `query` in the answer: the template of the day does not exist. The original fails here.
    NoTemplate,
    /// The template names no existing file: 404, `No picture of the day for this date`.
    Missing,
    /// The file.
    Found(Box<PictureFile>),
}

/// Reads the answer to the image query (contract §2.2.1).
pub fn parse_query(body: &[u8]) -> (PictureQuery, Vec<Note>) {
    let mut notes = Notes::new();
    let answer: Value = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => {
            notes.add_original(
                NoteKind::MalformedJson,
                OriginalError::TypeError,
                error.to_string(),
            );
            return (PictureQuery::NoTemplate, notes.finish());
        }
    };
    let page = answer
        .get("query")
        .and_then(|query| query.get("pages"))
        .and_then(first);
    let Some(page) = page else {
        notes.add_original(
            NoteKind::NotFound,
            OriginalError::TypeError,
            "no query in the answer",
        );
        return (PictureQuery::NoTemplate, notes.finish());
    };
    let missing = page
        .get("missing")
        .is_some_and(|missing| *missing != Value::Bool(false));
    let found = page.get("pageid").and_then(Value::as_u64).filter(|_| !missing);
    let (Some(page_id), Some(title)) = (found, string(page, "title")) else {
        notes.add(
            NoteKind::NotFound,
            page.get("title").map(Value::to_string).unwrap_or_default(),
        );
        return (PictureQuery::Missing, notes.finish());
    };
    let info = page.get("imageinfo").and_then(first).unwrap_or(&Value::Null);
    let file = PictureFile {
        title,
        page_id,
        thumbnail: image(info, "thumburl", "thumbwidth", "thumbheight"),
        image: image(info, "url", "width", "height"),
        page_count: info.get("pagecount").and_then(Value::as_u64),
        file_page: string(info, "descriptionurl"),
        duration: info.get("duration").and_then(Value::as_number).cloned(),
        metadata: info
            .get("extmetadata")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
    };
    (PictureQuery::Found(Box::new(file)), notes.finish())
}

/// The descriptions on a file page: language → HTML. Labels that name the language are left out; of
/// several in one language the last is kept.
pub fn parse_descriptions(html: &str) -> (PictureText, Vec<Note>) {
    let mut notes = Notes::new();
    let document = document(html, &mut notes);
    let mut texts: Vec<(String, String)> = Vec::new();
    for element in select(&document, &DESCRIPTION) {
        let Some(lang) = element.attr("lang").filter(|lang| !lang.is_empty()) else {
            notes.add(NoteKind::ItemDropped, element.html());
            continue;
        };
        let html = inner_html(element, Style::Raw, is_label);
        let html = js_trim(&html).to_owned();
        match texts.iter().position(|(known, _)| *known == *lang) {
            Some(at) => texts[at].1 = html,
            None if texts.len() == MAX_LANGUAGES => {
                notes.add(NoteKind::LimitReached, format!("{MAX_LANGUAGES} languages"));
                break;
            }
            None => texts.push((lang.to_string(), html)),
        }
    }
    if texts.is_empty() {
        notes.add(NoteKind::NothingMatched, DESCRIPTION.css());
    }
    (PictureText(texts), notes.finish())
}

/// Reads the answer to the entity query: id and captions of the first entity. Where there is none,
/// the original fails.
pub fn parse_entity(body: &[u8]) -> (PictureEntity, Vec<Note>) {
    let mut notes = Notes::new();
    let answer: Value = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => {
            notes.add_original(
                NoteKind::MalformedJson,
                OriginalError::TypeError,
                error.to_string(),
            );
            return (PictureEntity::default(), notes.finish());
        }
    };
    let Some(entity) = answer.get("entities").and_then(first) else {
        notes.add_original(NoteKind::NotFound, OriginalError::TypeError, "no entity");
        return (PictureEntity::default(), notes.finish());
    };
    let mut captions = Map::new();
    // Without labels this is an array.
    for (lang, label) in entity
        .get("labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(text) = string(label, "value") {
            captions.insert(lang.clone(), Value::String(text));
        }
    }
    (
        PictureEntity {
            id: string(entity, "id"),
            captions,
        },
        notes.finish(),
    )
}

/// Puts the picture together in the best language for a wiki: the first label of its domain, else
/// English, else the first there is.
pub fn assemble(
    domain: &str,
    file: &PictureFile,
    texts: &PictureText,
    entity: &PictureEntity,
) -> FeaturedImage {
    let lang = first_label(domain);
    let value = |key: &str| {
        let value = file.metadata.get(key)?;
        localized(value.get("value").unwrap_or(value), lang)
    };
    let plain = |key: &str| value(key).map(|text| text.html);
    FeaturedImage {
        title: file.title.clone(),
        thumbnail: file.thumbnail.clone(),
        image: file.image.clone(),
        page_count: file.page_count,
        file_page: file.file_page.clone(),
        duration: file.duration.clone(),
        artist: value("Artist").and_then(artist),
        credit: value("Credit"),
        license: License {
            kind: plain("LicenseShortName"),
            code: plain("License"),
            url: plain("LicenseUrl"),
        },
        description: description(texts, lang),
        wb_entity_id: entity.id.clone(),
        structured: Structured {
            captions: entity.captions.clone(),
        },
    }
}

/// The description in the best language.
fn description(texts: &PictureText, lang: &str) -> Option<LangText> {
    let in_lang = |lang: &str| texts.0.iter().find(|(known, _)| known == lang);
    let (lang, html) = in_lang(lang)
        .or_else(|| in_lang(FALLBACK))
        .or_else(|| texts.0.first())?;
    Some(lang_text(html, Some(lang)))
}

/// A metadata value: text, or the best of several by language.
fn localized(value: &Value, lang: &str) -> Option<LangText> {
    match value {
        Value::String(html) => Some(lang_text(html, None)),
        Value::Number(number) => Some(lang_text(&number.to_string(), None)),
        Value::Object(by_lang) => {
            let texts = || by_lang.iter().filter(|(key, _)| *key != TYPE_KEY);
            let in_lang = |lang: &str| texts().find(|(key, _)| *key == lang);
            let best = in_lang(lang)
                .or_else(|| in_lang(FALLBACK))
                .or_else(|| texts().next());
            let (lang, html) = best?;
            Some(lang_text(html.as_str()?, Some(lang)))
        }
        _ => None,
    }
}

fn lang_text(html: &str, lang: Option<&str>) -> LangText {
    let text = js_trim(&strip_tags(html)).to_owned();
    LangText {
        html: html.to_owned(),
        text,
        lang: lang.map(str::to_owned),
    }
}

/// Who made it; name and user page where the HTML is nothing else (contract §2.2.4).
fn artist(of: LangText) -> Option<Artist> {
    if of.text.is_empty() {
        return None;
    }
    let (name, user_page) = match only_anchor(&of.html) {
        Some((title, href)) => match user_page(&title, &href, &of.text) {
            Some(page) => (Some(of.text.clone()), Some(page)),
            None => (None, None),
        },
        None if js_trim(&of.html) == of.text => (Some(of.text.clone()), None),
        None => (None, None),
    };
    Some(Artist {
        html: of.html,
        text: of.text,
        lang: of.lang,
        name,
        user_page,
    })
}

/// Title and target of the anchor that some HTML consists of.
fn only_anchor(html: &str) -> Option<(String, String)> {
    let document = piece(html);
    let body = document.body()?;
    let mut children = body
        .children()
        .into_iter()
        .filter(|n| !(n.is_text() && js_trim(&n.text()).is_empty()));
    let anchor = children.next().filter(|node| is(node, "a"))?;
    if children.next().is_some() {
        return None;
    }
    Some((
        anchor.attr("title")?.to_string(),
        anchor.attr("href")?.to_string(),
    ))
}

/// The URL of the user page, when the link is one to the page of the user it names.
fn user_page(title: &str, href: &str, text: &str) -> Option<String> {
    if title.strip_prefix("User:")? != text {
        return None;
    }
    let path = href
        .strip_prefix("//")
        .or_else(|| href.strip_prefix("https://"))?;
    let target = path.strip_prefix("commons.wikimedia.org/wiki/")?;
    let decoded = percent_encoding::percent_decode_str(target).decode_utf8().ok()?;
    (decoded.replace(' ', "_") == title.replace(' ', "_")).then(|| format!("https://{path}"))
}

/// Whether the node only names the language of a description.
fn is_label(node: &NodeRef<'_>) -> bool {
    is(node, "span") && node.class().is_some_and(|class| class.contains("langlabel-"))
}

/// The first element of an array or the first member of an object.
fn first(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(items) => items.first(),
        Value::Object(members) => members.values().next(),
        _ => None,
    }
}

fn string(object: &Value, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn image(info: &Value, source: &str, width: &str, height: &str) -> Option<ImageFile> {
    Some(ImageFile {
        source: string(info, source)?,
        width: info.get(width).and_then(Value::as_u64),
        height: info.get(height).and_then(Value::as_u64),
    })
}
