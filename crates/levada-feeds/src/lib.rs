//! Wikifeeds: the Explore feeds of the Wikipedia apps, from MediaWiki.
