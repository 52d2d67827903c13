package sqlstore_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		fmt.Fprintln(os.Stderr, uploadForEver(path))
		os.Exit(1)
	}
	database.Main(m)
}
