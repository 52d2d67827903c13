// Package metrics holds what the process tells of itself to what clients saw: it lives through a day of
// uploads, reads, a reload and a dead node, and compares the numbers of a scrape with those that it
// counted itself. The alert rules and the dashboard in docs are read, too: each metric and each label
// that they name must be on that scrape.
package metrics
