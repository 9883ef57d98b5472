package cloud

import (
	"context"
	"math"
	"strings"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// TypeDetails is an instance type with what EC2 tells of it beyond what a plan needs.
type TypeDetails struct {
	snapshot.InstanceType
	Interfaces   int64  // that EC2 takes; MaxENIs are those that ECS can use
	GPUName      string // in lower case
	GPUMemoryMiB int64  // of each
	LocalGB      int64  // of disks that belong to the instance
	NetworkMbps  int64  // at any time, all cards together; 0: not told
	Hypervisor   string // nitro or xen; none for bare metal
	Previous     bool   // generation
}

// TypeDetails reads the instance types of the region for a catalogue.
func (r *Reader) TypeDetails(ctx context.Context) ([]TypeDetails, error) {
	return describeTypes(ctx, r, typeDetails)
}

func typeDetails(t *ec2types.InstanceTypeInfo) TypeDetails {
	out := TypeDetails{
		InstanceType: instanceType(t), Hypervisor: string(t.Hypervisor),
		Previous: t.CurrentGeneration != nil && !*t.CurrentGeneration,
	}
	if t.NetworkInfo != nil {
		out.Interfaces = int64(whole(t.NetworkInfo.MaximumNetworkInterfaces))
		gbps := 0.0
		for _, card := range t.NetworkInfo.NetworkCards {
			if card.BaselineBandwidthInGbps != nil {
				gbps += *card.BaselineBandwidthInGbps
			}
		}
		out.NetworkMbps = int64(math.Round(gbps * 1000))
	}
	if t.InstanceStorageInfo != nil && t.InstanceStorageInfo.TotalSizeInGB != nil {
		out.LocalGB = *t.InstanceStorageInfo.TotalSizeInGB
	}
	if t.GpuInfo != nil && len(t.GpuInfo.Gpus) > 0 {
		gpu := &t.GpuInfo.Gpus[0]
		out.GPUName = strings.ToLower(text(gpu.Name))
		if gpu.MemoryInfo != nil {
			out.GPUMemoryMiB = int64(whole(gpu.MemoryInfo.SizeInMiB))
		}
	}
	return out
}
