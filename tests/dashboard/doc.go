// Package dashboard is tests of the admin API and of the dashboard against real processes,
// over plain HTTP and in a real browser.
package dashboard
