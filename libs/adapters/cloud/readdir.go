package cloud

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// File is a file that [ReadDir] reads.
type File struct {
	Name     string // in the folder
	Command  string // of the AWS CLI that writes it
	Optional string // what is done without it; empty if its section is then incomplete
}

// Files lists what [ReadDir] reads, for help texts. A file may hold the output of several
// calls, one after the other: ECS describes 100 tasks or instances and 10 services at once.
func Files() []File {
	return []File{
		{"clusters.json", "aws ecs describe-clusters --clusters CLUSTER", "the cluster's name is read from the other files"},
		{"container-instances.json", "aws ecs describe-container-instances --cluster CLUSTER --container-instances …", ""},
		{"capacity-providers.json", "aws ecs describe-capacity-providers", "capacity providers are taken for those of auto scaling groups"},
		{"instances.json", "aws ec2 describe-instances --instance-ids …", ""},
		{"services.json", "aws ecs describe-services --cluster CLUSTER --include TAGS --services …", ""},
		{"tasks.json", "aws ecs describe-tasks --cluster CLUSTER --include TAGS --tasks …", ""},
		{"task-definitions.json", "aws ecs describe-task-definition --include TAGS --task-definition …   (or one file each in task-definitions/)", ""},
		{"task-protection.json", "aws ecs get-task-protection --cluster CLUSTER --tasks …", "no task is taken for protected"},
		{"subnets.json", "aws ec2 describe-subnets", "zones are taken from the instances, and addresses to be free"},
		{"parameters.json", "aws ssm get-parameters --names …", "images are not resolved"},
		{"images.json", "aws ec2 describe-images --image-ids …", "architectures are guessed from the parameters' names"},
		{"instance-types.json", "aws ec2 describe-instance-types", "common types are used"},
		{"offerings.json", "aws ec2 describe-instance-type-offerings --location-type availability-zone", "every zone is taken to sell every type"},
		{"prices.json", "aws pricing get-products --service-code AmazonEC2 --filters …", "prices of us-east-1 are used"},
		{"spot-prices.json", "aws ec2 describe-spot-price-history --product-descriptions Linux/UNIX --start-time …", "mean prices of us-east-1 are used"},
		{"date.txt", "date -u +%FT%TZ", "the time of the newest file is used"},
	}
}

// definitionsFolder may hold one file for each task definition.
const definitionsFolder = "task-definitions"

// mostBytes bounds one file: 100,000 tasks as the CLI prints them are about 400 MB.
const mostBytes = 1 << 30

// ReadDir reads a folder of JSON as the AWS CLI prints it, version 1 or 2, for the calls
// that [Files] lists. A file that is not there leaves its section incomplete or is made up
// for; either way a warning says so, and so it does for a file that is none of them. JSON
// that cannot be read is an error that names file and line.
func ReadDir(dir string) (in snapshot.Input, warnings []string, err error) {
	r := &dirReader{dir: dir, read: map[string]bool{}, protected: map[string]bool{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return in, nil, fmt.Errorf("%w: read folder of AWS JSON: %w", fleet.ErrInvalid, err)
	}
	if err := r.readAll(entries); err != nil {
		return in, r.warnings, err
	}
	if len(r.read) == 0 {
		return in, r.warnings, fmt.Errorf("%w: %s holds none of the files that are read, such as container-instances.json, instances.json, services.json and tasks.json", fleet.ErrInvalid, dir)
	}
	if err := r.identify(); err != nil {
		return in, r.warnings, err
	}
	r.fillCatalogue()
	r.fillNetwork()
	r.finish()
	return r.in, r.warnings, nil
}

type dirReader struct {
	dir      string
	in       snapshot.Input
	read     map[string]bool // files that were there
	newest   time.Time
	taken    time.Time // of date.txt
	arns     []string  // that tell account, region and cluster
	warnings []string

	protected map[string]bool // tasks by ARN
}

func (r *dirReader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

func (r *dirReader) readAll(entries []os.DirEntry) error {
	known := Files()
	for _, e := range entries {
		name := e.Name()
		isKnown := slices.ContainsFunc(known, func(f File) bool { return f.Name == name })
		switch {
		case name == definitionsFolder && e.IsDir():
			nested, err := os.ReadDir(filepath.Join(r.dir, name))
			if err != nil {
				return fmt.Errorf("%w: read folder of task definitions: %w", fleet.ErrInvalid, err)
			}
			for _, n := range nested {
				if strings.HasSuffix(n.Name(), ".json") {
					if err := r.readFile(filepath.Join(name, n.Name()), "task-definitions.json"); err != nil {
						return err
					}
				}
			}
		case isKnown && !e.IsDir():
			if err := r.readFile(name, name); err != nil {
				return err
			}
		case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".md"):
		default:
			r.warn("%s is no file that is read here; was another name meant? Known are %s", name, fileNames(known))
		}
	}
	return nil
}

func fileNames(files []File) string {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

func (r *dirReader) readFile(path, kind string) error {
	full := filepath.Join(r.dir, path)
	info, err := os.Stat(full)
	if err == nil && info.Size() > mostBytes {
		err = fmt.Errorf("%d bytes are more than any cluster has", info.Size())
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(full)
	}
	if err != nil {
		return fmt.Errorf("%w: read %s: %w", fleet.ErrInvalid, full, err)
	}
	r.read[kind] = true
	if kind == "date.txt" {
		r.taken, err = time.Parse(time.RFC3339, strings.TrimSpace(string(content)))
		if err != nil {
			return fmt.Errorf("%w: %s: %w; write it with date -u +%%FT%%TZ", fleet.ErrInvalid, full, err)
		}
		return nil
	}
	if info.ModTime().After(r.newest) {
		r.newest = info.ModTime()
	}
	return r.decode(full, content, kind)
}

// decode reads the documents of a file one after the other.
func (r *dirReader) decode(path string, content []byte, kind string) error {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // some shells write a byte order mark
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	for {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %s:%d: %w; write it with --output json", fleet.ErrInvalid, path, lineOf(content, decoder.InputOffset(), err), err)
		}
		b, err := json.Marshal(withTimes("", document))
		if err == nil {
			err = r.take(b, kind)
		}
		if err != nil {
			return fmt.Errorf("%w: %s:%d: in the document that ends here: %w", fleet.ErrInvalid, path, lineOf(content, decoder.InputOffset(), nil), err)
		}
	}
}

func lineOf(content []byte, offset int64, err error) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	return 1 + bytes.Count(content[:min(max(offset, 0), int64(len(content)))], []byte("\n"))
}

// withTimes rewrites the timestamps of version 1 of the CLI, seconds since 1970, in the
// form of version 2.
func withTimes(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = withTimes(k, v[k])
		}
	case []any:
		for i := range v {
			v[i] = withTimes(key, v[i])
		}
	case json.Number:
		if seconds, err := v.Float64(); err == nil && isTime(key) {
			const millis = 1e3 // ECS tells no less; below it the number is not exact
			return time.UnixMilli(int64(math.Round(seconds * millis))).UTC().Format(time.RFC3339Nano)
		}
	}
	return v
}

func isTime(key string) bool {
	for _, end := range []string{"At", "Time", "Date", "Timestamp"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return key == "timestamp"
}

// output is what the describe calls print, all in one: a document has a few of the fields.
// encoding/json matches names without regard to case, which is all that the CLI's names and
// the SDK's differ in.
type output struct {
	Clusters              []ecstypes.Cluster
	ContainerInstances    []ecstypes.ContainerInstance
	CapacityProviders     []ecstypes.CapacityProvider
	Services              []ecstypes.Service
	Tasks                 []ecstypes.Task
	TaskDefinition        *ecstypes.TaskDefinition
	Tags                  []ecstypes.Tag // of the task definition
	ProtectedTasks        []ecstypes.ProtectedTask
	Reservations          []ec2types.Reservation
	Subnets               []ec2types.Subnet
	Parameters            []ssmtypes.Parameter
	Images                []ec2types.Image
	InstanceTypes         []ec2types.InstanceTypeInfo
	InstanceTypeOfferings []ec2types.InstanceTypeOffering
	PriceList             []string
	SpotPriceHistory      []ec2types.SpotPrice
	Failures              []ecstypes.Failure
}

// take keeps what a document holds.
func (r *dirReader) take(b []byte, file string) error {
	var o output
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	for _, c := range o.Clusters {
		r.arns = append(r.arns, text(c.ClusterArn))
	}
	in := &r.in
	in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, convert(o.ContainerInstances, containerInstance)...)
	in.ContainerInstances.CapacityProviders = append(in.ContainerInstances.CapacityProviders, convert(o.CapacityProviders, capacityProvider)...)
	in.Services.Services = append(in.Services.Services, convert(o.Services, service)...)
	in.Tasks.Tasks = append(in.Tasks.Tasks, convert(o.Tasks, task)...)
	if o.TaskDefinition != nil {
		in.Tasks.Definitions = append(in.Tasks.Definitions, taskDefinition(o.TaskDefinition, o.Tags))
	}
	for _, p := range o.ProtectedTasks {
		r.protected[text(p.TaskArn)] = p.ProtectionEnabled
	}
	for _, reservation := range o.Reservations {
		in.EC2.Instances = append(in.EC2.Instances, convert(reservation.Instances, ec2Instance)...)
	}
	r.takeNetwork(&o)
	in.Catalogue.Types = append(in.Catalogue.Types, convert(o.InstanceTypes, instanceType)...)
	in.Catalogue.Offers = append(in.Catalogue.Offers, convert(o.InstanceTypeOfferings, offer)...)
	in.Catalogue.Spot = append(in.Catalogue.Spot, convert(o.SpotPriceHistory, spotPrice)...)
	for _, item := range o.PriceList {
		if price, ok := product([]byte(item)); ok {
			in.Catalogue.Prices = append(in.Catalogue.Prices, price)
		}
	}
	r.failures(file, o.Failures)
	return nil
}

func (r *dirReader) takeNetwork(o *output) {
	n := &r.in.Network
	n.Subnets = append(n.Subnets, convert(o.Subnets, subnet)...)
	for _, p := range o.Parameters {
		n.Images = append(n.Images, snapshot.Image{Parameter: text(p.Name), ID: imageIn(text(p.Value)), Architecture: architectureIn(text(p.Name)), OSFamily: fleet.WindowsFamily(text(p.Name))})
	}
	for _, i := range o.Images {
		id := text(i.ImageId)
		n.Images = append(n.Images, snapshot.Image{Parameter: id, ID: id, Architecture: string(i.Architecture), OSFamily: fleet.WindowsFamily(text(i.Name))})
	}
}

func (r *dirReader) failures(kind string, failures []ecstypes.Failure) {
	for _, f := range failures {
		r.warn("%s lists a failure: %s %s", kind, text(f.Arn), text(f.Reason))
	}
}

// identify finds cluster, account and region in the ARNs.
func (r *dirReader) identify() error {
	for _, ci := range r.in.ContainerInstances.Instances {
		r.arns = append(r.arns, ci.ARN)
	}
	for i := range r.in.Services.Services {
		r.arns = append(r.arns, r.in.Services.Services[i].ARN)
	}
	for _, arn := range r.arns {
		resource := arn[strings.LastIndexByte(arn, ':')+1:] // cluster/NAME, container-instance/NAME/ID, service/NAME/SERVICE
		parts := strings.Split(resource, "/")
		const withCluster = 3
		if parts[0] != "cluster" && len(parts) < withCluster || len(parts) < 2 {
			continue
		}
		name := fleet.ClusterName(parts[1])
		if r.in.Cluster == "" {
			r.in.Cluster, r.in.Account, r.in.Region = name, accountOf(arn), regionOf(arn)
		}
		if r.in.Cluster != name {
			return fmt.Errorf("%w: %s is about several clusters, %s and %s; put each into a folder of its own", fleet.ErrInvalid, r.dir, r.in.Cluster, name)
		}
	}
	if r.in.Cluster == "" {
		return fmt.Errorf("%w: %s does not say which cluster it is about; add clusters.json, written by aws ecs describe-clusters --clusters CLUSTER", fleet.ErrInvalid, r.dir)
	}
	return nil
}

func regionOf(arn string) string {
	const region = 3 // arn:aws:ecs:region:…
	parts := strings.Split(arn, ":")
	if len(parts) <= region {
		return ""
	}
	return parts[region]
}

// finish marks the sections. All of them are of one time: the files are one view.
func (r *dirReader) finish() {
	r.in.Generation = 1
	r.missing("task-protection.json")
	for i := range r.in.Tasks.Tasks {
		r.in.Tasks.Tasks[i].Protected = r.protected[r.in.Tasks.Tasks[i].ARN]
	}
	at := cmp.Or(r.taken, r.newest.UTC().Truncate(time.Second))
	for _, s := range []struct {
		read  *snapshot.Read
		files []string
	}{
		{&r.in.ContainerInstances.Read, []string{"container-instances.json"}},
		{&r.in.EC2.Read, []string{"instances.json"}},
		{&r.in.Services.Read, []string{"services.json"}},
		{&r.in.Tasks.Read, []string{"tasks.json", "task-definitions.json"}},
		{&r.in.Catalogue.Read, nil},
		{&r.in.Network.Read, nil},
	} {
		s.read.StartedAt, s.read.ReadAt, s.read.Complete = at, at, true
		for _, file := range s.files {
			if !r.read[file] {
				s.read.Fail(file + " is missing")
				r.warn("%s is missing: that part of the cluster is unknown. It is written by: %s", file, commandOf(file))
			}
		}
	}
	if !r.read["subnets.json"] {
		r.in.Network.Fail("subnets.json is missing")
	}
}

func commandOf(name string) string {
	for _, f := range Files() {
		if f.Name == name {
			return f.Command
		}
	}
	return ""
}
