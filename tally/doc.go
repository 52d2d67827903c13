// Package tally counts what the rooms do and how long that takes, for whoever wants to show it.
//
// A room is handed its part of a tally ([Edge], [Cache], [Tracker], [Storage], [Database]) and adds to
// it as it works: a [Counter] or a [Histogram] for everything, without locks, and spread over several
// cache lines, so that processors don't wait for each other. Whoever shows it reads it whenever it
// likes. A part outlives what adds to it: a tracker that is replaced by one with other settings goes on
// counting where the old one stopped.
//
// What can be counted is fixed, or bounded ([Table]): no key, no client and no word that a client makes
// up becomes a name here. It knows no Prometheus and formats nothing.
package tally
