//go:build !race

package simulation

const (
	// usualSeeds is how many days are simulated when nobody says.
	usualSeeds = 100
	// replays is how many days are simulated twice.
	replays = 20
)
