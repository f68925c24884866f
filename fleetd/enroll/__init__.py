"""How a router becomes known, stays known and is spoken to.

Invariants
1. A new key never takes an incumbent's place without the old key's signature, a reset ticket, the tenant's written
   policy with every one of its conditions met, or a person's approval.
2. A revoked key never works again, and nothing but a person's word brings a revoked device back.
3. A claim decides the tenant; what one tenant writes is invisible to every other.
4. A device never says which store it is in: (device, epoch) says it here, also for rows that arrive late.
5. The same request again gives the same answer: every transition can lose its reply.
6. Refusing is cheap: nothing is verified for a request that its shape, its nonce or the load already refuses.
"""
