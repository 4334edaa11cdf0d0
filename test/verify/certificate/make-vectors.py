"""Makes vectors.json without a line of chartkeep: from RFC 9162, RFC 8785, docs/FORMAT.md and exact fractions.

    python3 make-vectors.py > vectors.json
"""
import hashlib,hmac,json
from fractions import Fraction
from math import comb
H=lambda b:hashlib.sha256(b).digest()
leaf=lambda b:H(b'\0'+b); node=lambda a,b:H(b'\1'+a+b)
def split(n):
    k=1
    while k*2<n:k*=2
    return k
def mth(d):
    if not d:return H(b'')
    if len(d)==1:return leaf(d[0])
    k=split(len(d));return node(mth(d[:k]),mth(d[k:]))
def path(m,d):
    if len(d)==1:return []
    k=split(len(d))
    return path(m,d[:k])+[mth(d[k:])] if m<k else path(m-k,d[k:])+[mth(d[:k])]
def draw(seed,name,pop,n):
    if n>=pop:return list(range(pop))
    lim=(1<<64)//pop*pop; got=set(); i=0
    while len(got)<n:
        v=int.from_bytes(hmac.new(seed.encode(),f'{name}\n{i}'.encode(),hashlib.sha256).digest()[:8],'big'); i+=1
        if v<lim:got.add(v%pop)
    return sorted(got)
def bound(N,n,f):
    if n==N:return f
    best=f; all_=comb(N,n)
    lo,hi=f,N-(n-f)
    def ok(K):
        s=sum(comb(K,c)*comb(N-K,n-c) for c in range(0,min(f,n,K)+1) if n-c<=N-K and n-c>=0)
        return Fraction(s,all_)>Fraction(1,20)
    while lo<hi:
        m=(lo+hi+1)//2
        if ok(m):lo=m
        else:hi=m-1
    return lo
trees=[]
for n in [1,2,3,4,5,7,8,9,16,17]:
    d=[f'row {i}'.encode() for i in range(n)]
    for i in sorted({0,n//2,n-1}):
        trees.append(dict(leaves=n,index=i,root=mth(d).hex(),path=[p.hex() for p in path(i,d)]))
draws=[dict(seed=s,name=nm,population=p,sample=k,numbers=draw(s,nm,p,k)) for s,nm,p,k in [('417','look-up',1000,8),('某市第一医院 2026 年度验收，抽样人：李伟','look-up',24961,8),('某市第一医院 2026 年度验收，抽样人：李伟','patients',97,8),('a"b\\c','patients',5,5),('s','look-up',(1<<52)-1,4),('long '*40,'look-up',3,2)]]
bounds=[dict(population=N,sample=n,failures=f,upperBound=bound(N,n,f)) for N,n,f in [(24961,300,0),(24961,300,1),(24961,300,7),(1527,200,0),(1000,59,0),(1000,999,0),(60,30,3),(5000,20,20),(5000,20,19),(20000,3000,2),(4,4,0),(10,0,0)]]
# By hand, from RFC 8785: a value, and its canonical form.
canonical=[
 ({"b":1,"a":[True,None,"\u20ac\u0000\n\"\\"],"\u00e9":{"z":0,"A":0.1}},'{"a":[true,null,"\u20ac\\u0000\\n\\"\\\\"],"b":1,"\u00e9":{"A":0.1,"z":0}}'),
 ({"数":"据","a/b":"</x>"},'{"a/b":"</x>","数":"据"}'),
 ([-1,1e21,1.5,333333333.3333333,1e-7,123456789012],'[-1,1e+21,1.5,333333333.3333333,1e-7,123456789012]'),
 ({},'{}'),
]
print(json.dumps(dict(trees=trees,draws=draws,bounds=bounds,canonical=[dict(value=v,text=t) for v,t in canonical]),ensure_ascii=False,indent=1))
