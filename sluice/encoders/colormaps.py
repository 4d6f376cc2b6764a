"""The colour maps of pictures: 256 colours each, exactly as their authors published them.

``viridis`` and ``magma`` (Stefan van der Walt and Nathaniel Smith, 2015) and ``cividis`` (Nunez,
Anderton and Renslow 2018, doi:10.1371/journal.pone.0199239; for eyes that tell red and green apart
badly) have even steps of lightness; their tables are in the public domain (CC0 1.0), as matplotlib
has them. ``balance``, two hues around a light middle, for values on both sides of one, is of
cmocean (Thyng et al. 2016, doi:10.5670/oceanog.2016.66; copyright 2015 Kristen M. Thyng, under the
MIT licence, whose words are in the file LICENSE). ``turbo``, all hues, for many levels at a glance,
is by Anton Mikhailov (copyright 2019 Google LLC, under the Apache Licence 2.0,
https://www.apache.org/licenses/LICENSE-2.0). ``gray`` goes from black to white.

A picture has a colour for each of a few levels between two values; packed arrays have such levels,
too.
"""

from __future__ import annotations

from base64 import b85decode
from math import inf, isinf, nextafter
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, record

# The share of the values that lie below and above the range of a picture that names none.
_OUTSIDE_PERCENT: Final = 2.0
# Below it, numbers have fewer digits the smaller they are.
_COARSE: Final = float(np.finfo("f8").tiny)
# So many values, evenly spread, tell that range well enough, in a few milliseconds.
_MOST_SAMPLES: Final = 2**18


@record
class Levels:
    """So many levels, evenly spaced: the first is the value `low`, the last the value `high`."""

    low: float
    high: float
    count: int

    @property
    def step(self) -> float:
        """From one level to the next; zero where low and high are one.

        Where numbers are too coarse for such a step it is the next larger one, and `high` lies
        below the last level.
        """
        last, distance = self.count - 1, self.high - self.low
        if isinf(distance):
            return self.high / last - self.low / last
        step = distance / last
        return nextafter(step, inf) if step < _COARSE and step * last < distance else step

    def of(self, values: Array) -> NDArray[np.int64]:
        """The level that is nearest to each value; the first or last one of those outside.

        What is missing (NaN) is -1.
        """
        numbers, last = np.asarray(values, np.float64), self.count - 1
        gone = np.isnan(numbers)
        with np.errstate(over="ignore", invalid="ignore"):
            if not self.step > 0:
                found = np.where(numbers > self.low, float(last), 0.0)
            elif isinf(self.high - self.low):
                found = numbers / self.step - self.low / self.step
            else:
                found = (numbers - self.low) / self.step
        found = np.rint(np.clip(np.where(gone, -1.0, found), 0.0, last))
        levels: NDArray[np.int64] = found.astype(np.int64)
        levels[gone] = -1
        return levels


def value_range(values: Array) -> tuple[float, float]:
    """The least and the largest of the values that are finite; (0, 1) of nothing."""
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.any():
            return 0.0, 1.0
        low = values.min(initial=np.inf, where=finite)
        return float(low), float(values.max(initial=-np.inf, where=finite))
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def usual_range(values: Array) -> tuple[float, float]:
    """The range between the 2nd and the 98th percentile of what is finite; (0, 1) of nothing.

    Of more than `_MOST_SAMPLES` values, every so many are looked at.
    """
    flat = values.reshape(-1)
    numbers = np.asarray(flat[:: -(-flat.size // _MOST_SAMPLES) or 1], np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return 0.0, 1.0
    # Of a quarter: the distance of two numbers can be more than a number can be.
    low, high = 4 * np.percentile(numbers / 4, (_OUTSIDE_PERCENT, 100 - _OUTSIDE_PERCENT))
    return float(low), float(high)


_REVERSED: Final = "_r"


def palette(name: str, count: int) -> NDArray[np.uint8]:
    """So many colours of a map, evenly spread from its first to its last: red, green, blue."""
    plain = name.removesuffix(_REVERSED)
    whole = np.frombuffer(b85decode(_COLOURS[plain]), np.uint8).reshape(-1, 3)
    if plain != name:
        whole = whole[::-1]
    chosen: NDArray[np.uint8] = whole[np.rint(np.linspace(0, len(whole) - 1, count)).astype(int)]
    return chosen


_COLOURS: Final = MappingProxyType(
    {
        "viridis": (
            "L;+Mp0#-!?S49O`Mh99(2wX-AT}BIDM-5;{4q-<SV@DBWM-yd86lX{lXh;`nNEm8J8f-`#ZAct$NF8rT"
            "A8<$@aY!L^NF#JeBy~t7c1R|7NGNznDS1aKdPgjJM=g6tE__EXeMT^TMlyazGk-=jfJHTdMK^&(ID$ku"
            "gG4%mL_35-J%mF(g+f1tLO_N>L54v>he1S#Kt+f^Mu<O0h(Ab)K1qo_N{K#9iakw=Jx+=|Pl`NHi#t(^"
            "J5q}}Q;RxOj5$?|IaZ7~Sd2JXj5k`0H(QN1T#YtejWu44HD8T1V2w0kjWc46Gh>Z1WR5arjxlDAF=vi3"
            "XpS&xjxcJDFKdo3Y>qB%jxKJFE^m%4aE>i;jx2GGEOL%4bB-%?jw^MJDt3-4caAD}jwyMLDSD16dyXi4"
            "jwpSOCw`76e~u@BjwXSQCW4M8f{rDFjwOVSC54V8hK?kMjw6VUBZ-b9ij5+RjUtSVB8`n9j*TIYjUkYY"
            "A(4zAl8hjdj3ASYAC!zAm5U#iiyxPZADD|DnTj8piXNMa9-N6Dorxcwi65VcAE1aIp@<)$haaMcAftvL"
            "q=q4-g(0SeBBzBSsDvY_gCwehC98rZtb!)3fhVnjD6W7huYW4Ae=M<nEwX(svwSbKd@;3qGPZg&ws|$T"
            "c{jLtIJtK^x^_Febv?XvKfH55y>ddnaYVmxM!;`K!EQ>yZA`*!PQz<Z#A;H-X;j5%R>o&o$7Nc`WL(H&"
            "Uddu$%3x#5UuDZ)XUtq_&0B2ET5ir*aL-qB&{lQORCm!+deKpQ(olcXPJz=+gw#uh)k%rfNQ>4+j@Ctx"
            "*F%%nL6z7*nAkp>**u-uJD}P*qS`m5+cv1%G^*S(t=urM-7m7;Ew$b&xZWwc-YC7_Ccxh%!rvps;33H1"
            "Aj;t%&EXx;;T+Q98`a_(*y0)5;~CxK7~kU<;^Y|R<QeDW8S3R4?ByHp<s9+l9rWfN_U0h?<{|s%BmL(k"
        ),
        "cividis": (
            "03uERBToP%Q2-@V03}oaCRP9^SO6$l04Q4kDO~_6UjQm$04rhuEMx#IW&kZ{04{0(E^GiVZ2&ND05EU>"
            "F>nAeaRD-M1v7C7GjI$va1S+b5;brXHgFa<a2Pjl8aQtpId2|1Zy-8vAv<m(JZ>aBZYDi$Cq8Z|KW-{N"
            "Z7V=+EkSKAL2WNWZ81Y_GDB@ML~S%hY&At}Hb!hXM{GGrY&uA6J4tLjN^Ct!Y(7hDKTK>uOl(0-Y(h?K"
            "Lr!c&Pi#d{Y(`ORM^S7@Qfx_6Y)VsXOH^!3RcuXFY))2ePgiVES8P#OZBkinQ(A3QT5VNZZB<-tR$OgY"
            "U2RxiZCPG!T3>EkU~XJtZe3w+USe)uV{cz$Z(w9^VP$V(Wp86<aAaq2WoU3^XmDm}aA#_9Xlik3YjJ99"
            "acgaIY;AIEZgOpJa&B*PZ*X&PadUBUbaHZZa&vTZbaixeb#--hc6N4mcXoGocX)Vrd3kqwdU$(!czk<!"
            "eSCO+e0Y9+cz=F)fPZ*_e|Um`d4qv@go1g6f_a96d545}h=q8Gg?NgFc#DU4jEH!Rh<J{Pc#n#Bkc)Vc"
            "i+GZZc#@5Hla6?lj(3%hcb1TMmyvgvl6RSscbb!So0N8(m3Ez#cAl1YpO<x@n029<b)uPdqndQ2n{=g|"
            "bf%nir=4@Co^z?6bE=?otDthMp>nOFa;~FsucUFXrE#&PaI>axw5M;isBgBZZ?~y#xT<cst8KchZM&^)"
            "ysm7$u57-qYrn8-z_Dt<vTDM!X~VN=#I$I|wP?n+XUDf^$hc<7xn;|_Wz4!{&AVgHykpP3V$i-~(Z6BR"
            "z+ltBU(~^0)xuuZ!(G?JT-n83+QwVk$6DOTS>4E3-pN?s%2(jaR^iN5;>}d#&Qs;jQs&T6=h0B;(ogBr"
            "PU_Q4>(oo_)k^NxN$=N4@YqK2*+uf&MDyE1_1r=B-9Pu<KKS1}`QSSH;W+%_HvQu?{^T_N<u(51HvZ^1"
        ),
        "magma": (
            "000C500jX71_1#G0s#pE0t*5H4FdxY0|OES1QZ1X76t_v1_c@i1{??n9tj5^3J4+#2_y^&CJhQH4ht&~"
            "3oQ{0FA@zg6Ad&J4mK4II2I2(7!N%e5I-6aLL3l89T7(!5lJ8sOCb?XA`ws|5>q7-RVNZyDG^#K5nL=0"
            "Uo8<~FA-xg5oI$FXEYFLHV|t#5NtUQZaWWfJr8j|4{|^cbV3hxL=SdF5O+rqcu5d=N)UNW5qeG$druO3"
            "Q4)Mo6MR$?eO45GR~3F)6@FS4eq0uRT^D~}7=K_GfMOYdWEy~F8h~dTfM^_nY8-)U9f55ffo>jwa36tk"
            "AAxfqfpsB)b|HayB7u1#f_o!^d?SK>B!Yk?f`KK0gC>E5CV_@0frux8i70`KDS?bBfsQJHkSc+ZD}j?M"
            "fRrqNmMnmnEr6LVfSWFVoGyQ!FMpsff1xmbqcDD@F@B~oeW)^hsxy77GkmQye6BQmur+(KHG8u*dbKus"
            "w>NpXH+i}^c)U4yy*YQkI(NW2cEUS##5{GyJaorBbI3k(%06<;KXJ`KanC?-&_Qp~LT}SUZq-C>)<taC"
            "MQqtdYuiU^+(>EONoe0nXy8m|;!S4bPG#gzWaUs~=Tc+nQ)1~<V(M05>sMgxSYYj1U+!C8?_FN-UtaNG"
            "UGidG@?>1|WnA=UT=Z#N^=n-AY+UwkT=#HX_i|kLbX@p$T={ri`FUOWdtLf{UiyDt`hj2jgJ1iFVEcz*"
            "{E1=wiemhXWBiU}{E%h+l4kvsXZ@CF{g`R}nri)<YyO>V{-16Bp>F=8Z~mom{-<*OsdN6SbpEV%{;qfa"
            "uz3Emdj7O~{<eJnw|@S)fBw6H{=I_!zl8q5h5o{a{=|s>#)|&PjQ+}v{>+d5&5-`jlK#<@{?nEI)tCO)"
            "nf}<C{o0)U+@Ag3p#9*X{o<qj<E8!Or~T)t{pqUx>#Y3juKez>{P42;^0fT)w*2<E{P(&1`Mdo4z5M;Z"
        ),
        "balance": (
            "7#u?x9!44;NgE+d93oF0BT^nERUal;ASYWPDPJKfVj?SLBQ0qpE^H+)ZzV8uCNg#>GkPa9eJD18C^v*D"
            "IEX1aj43;hDLj)YK9?y!nkhh@DMF$sL!~E0sU}CPB}lL%O0ywMwjWNo98kI$QoI&by%Sfy5LvzrTfPil"
            "z6xNz3SzzrWWEb#y$xu+4{E&;Y`hb0ycTf08FITDbh{pQyCHbHBYL_fd%7uox+{OWE`ho*gSs<>x;BQo"
            "IEcDCiMl?Ex<HM(Lyx*fkh(~cx=WP0PL;Y*m%3A#x>lOIS)99Eox5M3yJDcbWum-jq`YgTyl$txaj3m@"
            "s=j!uzI&{{ey+cPufT<|z=*QJi?qUywZoCO!<4whn7YNAyT+cp$DzK+q`%3h!OE(_%dN!Bu*J=@$IiCN"
            "&$-Ibyv)+S&C|ip)Wp!$$I{oz)Y#3{+0fV8)7jkB+TGaP-rL^b-r(Wk;p5}u<mTn(>F4L`>FMt3>hbLC"
            "@$BpH>gn(3=I-U=?c?C=;NI)r+v?od>Dkrj*V5<J&*sw2<<QFI&d21-#N)}q;>W(>#Jl0bxZuFG-@UTm"
            "yRhE5t=+b&+_b0MvZULuq1vsU+N+z{shHTNme{0|*P@WtpN-a?iq)Hk)R~0SmVwihf6|hC(T{o2jdswB"
            "bI*xz&xUT!glo-$Xw83R%zb0adtl0WUCMS_$#huAa#hD~Q^##k#%oQ*XiLOqNW)`B!(l_hUqQiKKfqc%"
            "zgIfGRXDy<HoZ_ZyiGE@OE9`fF1bZ4xI-(qKq<C8D6~5#vp6QQH6^h#C9g0ft}Z03D<rEaB&jAOrz9k$"
            "Atj?9C7~T9pBpBf877+-Cz%!}mlP<J6DX1rD3A~-jSwk|4=IQbDTWRygAOTx4k>;PDSHkncn&Cb4k&XD"
            "CvXlYZ4M@D4<%?1C1npJV-6!=4kBI-AzKb0SPman4jxkt9Z?M&P7NDN3>irb7)A>hL<<%{3KTyI6FdnL"
        ),
        "turbo": (
            "FcLd56+<%^N;Df$H6B<tAzwEnW;iEpIVy8HEqOaHfIKpWJvECyIFUa)mp?w7KtQ5FL#IJTtU^h#LQAzn"
            "PP#-<zeH5SL{`T|S<6LS&qZF-Mq$=QWZFh%-9~BPMr-3oZstdE=|^+xM|SQ<c<@Ji@<x61Mu7H4g7`*-"
            "`bLNQMT-1IjQvE9{zH-eLX`hOmj6JR|2~`kJ)ZtMp#3_d{5YliH>mnGtN1gm_c5>aFS7J5wDK&s@G80P"
            "D7@<@zUd{v=Oe@9BE{k$$KM~x-5$%@9L?Ap(A65!(i+sz8P&}g*UA{#$Qawj7~R4c-oO~(y&2-W8RNMc"
            "<hC5<v>oTNAL*|k>Z~H`swM2FC+?&w@1ZR4o-gs6GV+);^OQLBkv#Q|KlX}4_lHLKgi82;PWgRO`g&FR"
            "c3Jy#UHorh{A^|YX=(jtZT@0${$F+eTzURkeg9T~|5JqjQHcLei~mcH|4EYnN0$CXnf^kY{y?AoKcW3S"
            "r2IUm{5q-oIjs9QulhH!`8KrpHn;aRx%M@@^)$ZpG{N&U!|^o6@HEKpG|TNY&FnPL>NL{nHPq)d*X1?Y"
            "<Tl&lHr?Pi-`_Xk-8bXgIOW+m=hr#u)j8|aIqcCo?$0{!%{uYRI`YXn^v62&#X9!GI`_dk_`W&$ygB;1"
            "Is3Rc`?fdyvo`#(HvO(O{j4<psWbkkGXA77{-H4bo-h8JE&iD-{+28LlPdm@DgBKn{fZ|1hb8=kBm03O"
            "`+gz%dms6D9{F`0_;MWgZyNS&8TDxx^kx_HV-@mX6!BdX@LLk^SP|`25bRSA>rf8rP7UZw4ChG<<wpzT"
            "MGE3W3gJNs-#-Z5JqX-82iiFY*f$2&H3rl(1=2AE&@TnfEd<Of1j;G|$S4EFCIiDI1HmH#z99m<AOg7_"
            "0=FFkv>O4k8Ue2u0jw7RsTKjJ6al0Y0ihBBo)7_>4*{4C0hJ8_k_!Qj3IU4=0*D9#g$DwG1_FKs0(t}k"
        ),
        "gray": (
            "000010RaL60s{jB1Ox;H1qB8M1_uWR2nYxX2?+`c3JVJh3=9kn4Gj(s4i66x5D*X%5fKs+5)%^>6ciK{"
            "6%`g178e&67#J8C85tTH8XFrM92^`S9UUGX9v>ecARr(iAt53nA|oRsBqSsyB_$>%CMPE+C@3f?DJd!{"
            "Dl021EG#T7EiEoCE-x=HFfcGNF)=bSGBYzXG&D3dH8nOiHa9mnI5;>tIXOByIy*Z%JUl!-Jv}}?K0iM{"
            "KtMo2K|w-7LPJACL_|bIMMXwNMn^|SNJvOYNl8jdN=r*iOiWBoO-)WtPESuyP*6}&QBhJ-Qd3h?R8&+|"
            "RaI72R##V7SXfwDSy@_IT3cINTwGjTU0q&YUSD5dU|?WjVPRroVq;@tWMpJzWo2e&W@l$-XlQ6@X=!R|"
            "YHMq2Y;0_8ZEbFDZf|dIaBy&OadC2Ta&vQYbaZreb#-=jc6WDoczAeud3kzzdV70&e0+R;eSLm@et&;|"
            "fPjF3fq{a8f`fyDgoK2Jg@uNOhKGlTh=_=ZiHVAeii?YjjEszpjg5|uj*pLzkdTm(k&%*;l9Q8@l$4Z}"
            "m6ev3mY0{8n3$NEnVFiJnwy)OoSdAUot>VZo}ZteprD|kp`oIpqNAguq@<*!rKP5(rl+T;sHmu^si~@}"
            "s;jH3tgNi9t*x%EuCK4Ju&}VPv9YqUva_?Zw6wIfwY9dkwzs#pxVX5vxw*Q!y1To(yu7@<y}iD^zQ4b}"
            "z`(%4!NJ19!o$PE#KgqK#l^<P#>dCU$jHda$;ryf%FD~k%*@Qq&CSlv&d<-!(9qD)(b3Y<($mw^)YR0~"
            ")z#M4*4Nk9*x1<F+1c9K+S}XP+}zyV-QC{a-rwKf;Nall;o;)q;^X7v<mBY#<>lt)=I7_<=;-L_>FMg~"
            ">g((4?Ck9A?d|UF?(gsK@bK{Q@$vHV^7Hfa^z`)g_4W4l_V@Sq`1ttw`T6?#`uqF){QUg={r&#_{{R2~"
        ),
    }
)
# Their names, in the order in which they are offered; each from high to low as well.
COLORMAPS: Final = tuple(f"{name}{order}" for name in _COLOURS for order in ("", _REVERSED))
