package machines

import (
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/network"
)

func TestMain(m *testing.M) {
	network.Enter()
	database.Main(m)
}
