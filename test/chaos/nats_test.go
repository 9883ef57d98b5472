package chaos_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/test/harness"
)

// natsServer is the package of the server's binary; go.mod names it as a tool.
const natsServer = "github.com/nats-io/nats-server/v2"

const nodes = 3

// node is one server of the NATS cluster.
type node struct {
	name    string
	addr    string // for clients
	config  string // file
	process *harness.Process
}

// natsCluster starts a NATS cluster of three nodes, each a process with a store of its own.
func natsCluster(t *testing.T) []*node {
	t.Helper()
	var servers []*node
	var routes []string
	for n := range nodes {
		servers = append(servers, &node{name: fmt.Sprintf("nats-%d", n+1), addr: freeAddr(t)})
		routes = append(routes, freeAddr(t))
	}
	for n, s := range servers {
		s.config = filepath.Join(t.TempDir(), s.name+".conf")
		// Nodes do not tell clients of each other: what a client knows are its proxies.
		text := fmt.Sprintf(`
server_name: %q
listen: %q
jetstream: {store_dir: %q, sync_interval: always, max_file_store: 8GB}
cluster: {name: neap, listen: %q, no_advertise: true, routes: ["nats://%s"]}
`, s.name, s.addr, t.TempDir(), routes[n], strings.Join(routes, `", "nats://`))
		if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.start(t)
	}
	ready(t, servers)
	return servers
}

func (n *node) start(t *testing.T) {
	n.process = harness.Launch(t, n.name, filepath.Base(filepath.Dir(natsServer)), harness.Bare(), "-c", n.config)
}

// ready waits until every node serves JetStream, which they do once they have elected a leader.
func ready(t *testing.T, servers []*node) {
	t.Helper()
	for _, n := range servers {
		harness.Poll(t, harness.Patience, func() bool {
			nc, err := nats.Connect(n.addr, nats.Timeout(time.Second))
			if err != nil {
				return false
			}
			defer nc.Close()
			js, err := jetstream.New(nc)
			if err != nil {
				return false
			}
			_, err = js.AccountInfo(t.Context())
			return err == nil
		}, n.process.Tail)
	}
}

// urls lists the nodes as clients name them.
func urls(addrs []string) string { return "nats://" + strings.Join(addrs, ",nats://") }

// freeAddr is an address of this machine that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
