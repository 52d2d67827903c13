// Package top is a live screen of an installation: its trackers with what they are asked and
// what waits in their queues, its hosts, and its devices with how full and busy they are.
//
// Every interval it asks each tracker for its counters with the line !stats (stats.go),
// and the first that answers for hosts and devices; rates are differences between two
// looks. On a terminal the screen is redrawn until Ctrl-C, and what was there before comes
// back; anything else gets one look.
package top
