// Package cache remembers in memory where files are, so that a read of a known
// key asks no tracker, and keeps the bytes of small files that are read often.
//
// A read walks through it so: [Locations.Get] looks the key up; a fresh entry is
// the answer. Otherwise the caller's load runs, once for all who ask at the same
// time, and its answer is remembered for a while: a location for the TTL, an
// absence for the much shorter negative TTL. When the load fails, because every
// tracker is down, an entry whose TTL is over still serves. An entry that is in use is
// loaded again shortly before its TTL is over, while its readers go on. A change made
// through this process calls [Locations.Invalidate] before it is acknowledged, and from
// then on nothing that was loaded before the change is ever returned.
//
// With the fid from the location, [Contents.Get] returns the bytes when they are in
// memory. Otherwise [Contents.Join] has them brought there by the caller's fill, once
// for all who ask meanwhile, and all follow as they come. A fid's content never
// changes, so nothing of it can be out of date.
//
// It loads and fetches nothing itself, knows no tracker and no URL, and keeps nothing
// over a restart. A change made by another process is seen when the TTL is over.
package cache
