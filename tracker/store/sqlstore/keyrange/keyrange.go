// Package keyrange says in SQL which keys begin with a prefix and sort after another key, where keys
// compare as bytes.
package keyrange

import "github.com/mogilefs/caddy-mogilefs/mogile"

// Bytewise is right where keys compare as bytes. It is a range, for which
// SQLite has an index; its LIKE has none, and takes a for A besides.
func Bytewise(prefix, after mogile.Key) (string, []any) {
	condition, args := " AND dkey > ?", []any{after}
	if after < prefix {
		condition, args = " AND dkey >= ?", []any{prefix}
	}
	if end := prefixEnd(prefix); end != "" {
		condition, args = condition+" AND dkey < ?", append(args, end)
	}
	return condition, args
}

// prefixEnd is the least key that sorts after all that begin with prefix, or empty
// when there is none.
func prefixEnd(prefix mogile.Key) mogile.Key {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + mogile.Key([]byte{prefix[i] + 1})
		}
	}
	return ""
}
