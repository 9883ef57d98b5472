package bus

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/neap-project/neap/libs/adapters/service"
)

// Config says where NATS is and how to talk to it. The zero value connects to a server
// on this machine.
type Config struct {
	URL         string `envconfig:"NATS_URL" default:"nats://127.0.0.1:4222" desc:"NATS servers, comma separated"`
	CredsFile   string `envconfig:"NATS_CREDS_FILE" desc:"path of the credentials file (JWT and key) of this process"`
	NKeyFile    string `envconfig:"NATS_NKEY_FILE" desc:"path of the nkey seed of this process, instead of NATS_CREDS_FILE; neap access create makes one"`
	CAFile      string `envconfig:"NATS_CA_FILE" desc:"path of the certificate authority that signed the servers' certificates"`
	CertFile    string `envconfig:"NATS_CERT_FILE" desc:"path of the client certificate; needs NATS_KEY_FILE"`
	KeyFile     string `envconfig:"NATS_KEY_FILE" desc:"path of the key of the client certificate; needs NATS_CERT_FILE"`
	Name        string `envconfig:"NATS_CLIENT_NAME" desc:"name of this connection in the server's lists; default the program's"`
	InboxPrefix string `envconfig:"NATS_INBOX_PREFIX" default:"_INBOX" desc:"subject prefix of replies, when the server's permissions ask for one of its own"`

	ConnectTimeout time.Duration `envconfig:"NATS_CONNECT_TIMEOUT" default:"30s" desc:"how long to wait for a server at start"`
	InlineBytes    int           `envconfig:"SNAPSHOT_INLINE_BYTES" default:"262144" desc:"compressed snapshots up to this size travel in one message, larger ones through the object store; -1 sends all through the object store"`

	// Server connects within the process instead of over the network. URL is then for
	// people only.
	Server InProcess `ignored:"true" json:"-"`
	// Log takes what has no caller to return it to: lost connections, messages that were
	// put into quarantine. Nil is slog.Default.
	Log *slog.Logger `ignored:"true" json:"-"`
}

// InProcess is a NATS server in this process.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Defaults of a Config that was not read from the environment.
const (
	defaultURL            = "nats://127.0.0.1:4222"
	defaultInbox          = "_INBOX"
	defaultConnectTimeout = 30 * time.Second // a rolling restart of three servers takes about as long
	defaultInlineBytes    = 256 << 10        // most clusters fit; the server allows 1 MiB
)

// ObjectsOnly as Config.InlineBytes sends every snapshot through the object store.
const ObjectsOnly = -1

func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = defaultURL
	}
	if c.InboxPrefix == "" {
		c.InboxPrefix = defaultInbox
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.InlineBytes == 0 {
		c.InlineBytes = defaultInlineBytes
	}
	if c.Name == "" {
		c.Name = "neap"
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Validate says which setting no connection could be made with.
func (c Config) Validate() error {
	c = c.withDefaults()
	for part := range strings.SplitSeq(c.URL, ",") {
		const remedy = "use a URL such as " + defaultURL + "; nats, tls, ws and wss are spoken"
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			return service.Invalid("NATS_URL", "[not a URL]", remedy)
		}
		if !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Host == "" {
			return service.Invalid("NATS_URL", u.Redacted(), remedy)
		}
	}
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		return service.Invalid("NATS_KEY_FILE", c.KeyFile, "set it as well as NATS_CERT_FILE, or neither")
	case c.CertFile == "" && c.KeyFile != "":
		return service.Invalid("NATS_CERT_FILE", c.CertFile, "set it as well as NATS_KEY_FILE, or neither")
	case c.NKeyFile != "" && c.CredsFile != "":
		return service.Invalid("NATS_NKEY_FILE", c.NKeyFile, "set it or NATS_CREDS_FILE, not both")
	case strings.ContainsAny(c.InboxPrefix, "*> \t"), strings.HasSuffix(c.InboxPrefix, "."):
		return service.Invalid("NATS_INBOX_PREFIX", c.InboxPrefix, "use a subject without wildcards, such as _INBOX_planner")
	case c.InlineBytes < ObjectsOnly:
		return service.Invalid("SNAPSHOT_INLINE_BYTES", c.InlineBytes, "use a size in bytes, or -1 for none inline")
	case c.ConnectTimeout < 0:
		return service.Invalid("NATS_CONNECT_TIMEOUT", c.ConnectTimeout, "use a duration above zero, such as 30s")
	}
	return c.readable()
}

// readable checks each file that is named, now: the client library would find out while it
// connects, and what it says then is taken for a server that is away.
func (c Config) readable() error {
	var errs []error
	for _, file := range []struct {
		variable, path string
		pem            bool
	}{
		{"NATS_CREDS_FILE", c.CredsFile, false},
		{"NATS_NKEY_FILE", c.NKeyFile, false},
		{"NATS_CA_FILE", c.CAFile, true},
		{"NATS_CERT_FILE", c.CertFile, true},
		{"NATS_KEY_FILE", c.KeyFile, true},
	} {
		if file.path == "" {
			continue
		}
		content, err := os.ReadFile(file.path)
		if cause, ok := errors.AsType[*os.PathError](err); ok {
			err = cause.Err // the path is named anyway
		}
		if err != nil {
			errs = append(errs, service.Invalid(file.variable, file.path, fmt.Sprintf("name a file that this process can read, or unset it: %v", err)))
		} else if block, _ := pem.Decode(content); file.pem && block == nil {
			errs = append(errs, service.Invalid(file.variable, file.path, "name a file in PEM format, which begins with -----BEGIN"))
		}
	}
	if len(errs) == 0 && c.NKeyFile != "" {
		if _, err := nats.NkeyOptionFromSeed(c.NKeyFile); err != nil {
			return service.Invalid("NATS_NKEY_FILE", c.NKeyFile, fmt.Sprintf("name a file that holds the seed of a user, which begins with SU: %v", err))
		}
	}
	if len(errs) > 0 || c.CertFile == "" {
		return errors.Join(errs...)
	}
	if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
		return service.Invalid("NATS_CERT_FILE", c.CertFile, fmt.Sprintf("name a certificate that belongs to the key in NATS_KEY_FILE: %v", err))
	}
	return nil
}

// String is the URL without its passwords, for logs and errors.
func (c Config) String() string {
	parts := strings.Split(c.withDefaults().URL, ",")
	for i, part := range parts {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			parts[i] = "(not a URL)"
			continue
		}
		parts[i] = u.Redacted()
	}
	return strings.Join(parts, ",")
}

// options are the connection's, in the client library's terms.
func (c Config) options() []nats.Option {
	log := c.Log
	opts := []nats.Option{
		nats.Name(c.Name),
		nats.CustomInboxPrefix(c.InboxPrefix),
		nats.MaxReconnects(-1), // a service outlives any outage of NATS
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.Timeout(dialTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("lost the connection to NATS", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("connected to NATS again", "server", nc.ConnectedServerName()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reports an error", "error", err)
		}),
	}
	if c.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(c.CredsFile))
	}
	if c.NKeyFile != "" {
		opts = append(opts, func(o *nats.Options) error {
			nkey, err := nats.NkeyOptionFromSeed(c.NKeyFile)
			if err != nil {
				return err
			}
			return nkey(o)
		})
	}
	if c.CAFile != "" || c.CertFile != "" {
		// The client reads the files anew at each connection.
		opts = append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13}))
	}
	if c.CAFile != "" {
		opts = append(opts, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		opts = append(opts, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	if c.Server != nil {
		opts = append(opts, nats.InProcessServer(c.Server))
	}
	return opts
}
